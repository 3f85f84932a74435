"""Pixfield's one bootstrap: `python run.py VERB ...` on Windows, macOS and Linux, with nothing but Python.

It makes `.venv` beside itself, installs what the verb needs, remembers that, and hands over to the verb's module. An
older Python (3.6 and later) reads this file, too, so that it can find the one that is needed or name it.
"""

import contextlib
import difflib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
MARKER = VENV / "pixfield-installed.json"
UNFINISHED = VENV / "pixfield-installing"
LOCK = VENV / "pixfield.lock"

SERVE = "requirements-serve.txt"
ALL = "requirements.txt"
STORAGE = "requirements-storage.txt"
TABLEAU = "requirements-tableau.txt"
GATHERED = {  # what `wheels DIR` takes behind the folder
    (): SERVE, ("--all",): ALL, ("--storage",): STORAGE, ("--tableau",): TABLEAU}
VERSIONS = ((3, 13), (3, 12), (3, 11))
VERBS = {  # verb: (module, requirements, what it does)
    "demo": ("server.demo", SERVE, "TabPy, server, functions, sample images and a table of answers"),
    "serve": ("server.supervisor", SERVE, "the server and TabPy, until Ctrl-C"),
    "classify": ("workbooks.enrich", SERVE, "a table with a column of pictures: the same with answers beside it"),
    "deploy": ("tabpy_functions.deploy", SERVE, "the functions, onto a TabPy that is already there"),
    "doctor": ("server.doctor", SERVE, "look at everything, and say the one next thing to do"),
    "store": ("server.store_cli", SERVE, "the stored answers: stats, prune, check; rotate-image-key"),
    "service": ("server.system_service", SERVE, "install, uninstall or print a service of systemd or Windows"),
    "train": ("models.training.cli", ALL, "labelled pictures become a served model, in a time that is kept"),
    "experiment": ("models.experiments.cli", ALL, "repeat an experiment of the talk: plain against residual networks"),
    "models": ("server.models_cli", SERVE, "list, add, import, evaluate, compare, promote, ... models"),
    "workbooks": ("workbooks.cli", TABLEAU, "build: samples, or your table's catalogue; check: find mistakes"),
    "bench": ("benchmarks.cli", ALL, "measure what Pixfield promises: warm, cold, fields, alive, ..."),
    "test": ("pytest", ALL, "run the tests; further arguments go to pytest"),
    "storage": ("", STORAGE, "install what pictures in S3, Azure or Google storage need"),
    "tableau": ("", TABLEAU, "install what .hyper extracts and publishing need"),
    "wheels": ("", ALL, "gather in a folder what an installation without network needs"),
}
ENTRY = """import runpy, sys
try:
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
except KeyboardInterrupt:
    sys.exit(130)"""  # as -m does, and Ctrl-C among the imports is no traceback
INSTALLED = {  # verb that installs only: what to do then
    "storage": "python run.py serve --allow-url s3://BUCKET/FOLDER (or az:, gs:)",
    "tableau": "python run.py classify INPUT --image-column NAME --out OUT.hyper",
}
WHEELS = "PIXFIELD_WHEELS"  # the folder to install from; or --wheels DIR before the verb


class Stop(Exception):  # noqa: N818 - no error of the program's: a sentence for the user
    """Nothing more can be done; the text says what to do."""


def main(argv: "list[str]") -> int:
    """Installs what the verb needs and runs it; returns its exit code."""
    try:
        wheels, argv = wheel_folder(argv)
    except Stop as exc:
        print(exc, file=sys.stderr)
        return 2
    verb, arguments = (argv[0], argv[1:]) if argv else ("--help", [])
    if verb in ("-h", "--help", "help"):
        print(usage())
        return 0
    refused = refusal(verb, arguments)
    if refused:
        print(refused, file=sys.stderr)
        return 2
    try:
        if verb == "wheels":
            gather(Path.cwd() / arguments[0], GATHERED[tuple(arguments[1:])])
            return 0
        install(requirements_of(verb, arguments), wheels)
    except Stop as exc:
        print(exc, file=sys.stderr)
        return 1
    except OSError as exc:
        print(f"{exc.filename or VENV} cannot be written or read ({exc.strerror}): mend that.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; the next start installs afresh.", file=sys.stderr)
        return 130
    if verb in INSTALLED:
        print("Installed: " + INSTALLED[verb])
        return 0
    return hand_over(verb, arguments)


def refusal(verb: str, arguments: "list[str]") -> str:
    """Why this cannot be run, in one sentence; nothing where it can, as far as this file knows the arguments."""
    if verb not in VERBS:
        close = difflib.get_close_matches(verb, VERBS, 1)
        hint = f"did you mean {close[0]}?" if close else "there are " + ", ".join(VERBS) + "."
        return f"There is no verb {verb}: {hint}"
    if verb == "wheels" and (not arguments or arguments[0].startswith("-") or tuple(arguments[1:]) not in GATHERED):
        return "wheels needs a folder: python run.py wheels DIR [--all | --storage | --tableau]"
    if verb in INSTALLED and arguments:
        return f"{verb} takes no arguments, it installs: python run.py {verb}"
    return ""


def wheel_folder(argv: "list[str]") -> "tuple[str, list[str]]":
    """The folder to install from, if one is named, and the command line without it."""
    named = os.environ.get(WHEELS, "")
    where = WHEELS
    if argv and argv[0] == "--wheels":
        if len(argv) == 1:
            raise Stop("--wheels needs a folder: python run.py --wheels DIR VERB")
        named, argv, where = argv[1], argv[2:], "--wheels"
    if named and not Path(named).is_dir():
        raise Stop(f"{where} {named}: there is no such folder; make it with `python run.py wheels DIR`.")
    return str(Path.cwd() / named) if named else "", argv


def usage() -> str:
    """The verbs, one line each."""
    lines = [f"  {verb:12}{what}" for verb, (_, _, what) in VERBS.items()]
    return "\n".join(["python run.py VERB [arguments]", "", *lines, "", "python run.py VERB --help says more."])


def requirements_of(verb: str, arguments: "list[str]") -> str:
    """The requirements file a verb needs; Keras comes in where models are made or measured."""
    words = [word for word in arguments if not word.startswith("-")]
    if verb == "workbooks" and words[:1] == ["check"]:
        return SERVE  # what reads extracts is used where it is there
    return ALL if verb == "models" and words[:1] in (["add"], ["import"], ["reference"]) else VERBS[verb][1]


def gather(folder: Path, requirements: str) -> None:
    """Downloads, and where there is only source builds, the wheels that an installation from that file needs."""
    VENV.mkdir(exist_ok=True)
    with locked():
        if not PYTHON.exists() or venv_version() not in VERSIONS:
            clear()
            make_venv()
        add_pip()
    options = ["--disable-pip-version-check", "--wheel-dir", str(folder), "-r", requirements]
    if call([str(PYTHON), "-m", "pip", "wheel", *options]) != 0:
        raise Stop("The wheels could not be gathered for the reason above: mend that and start again.")
    count = len(list(folder.glob("*.whl")))
    version = "{}.{}".format(*venv_version())
    print(f"{folder} has {count} wheels for this system and Python {version}; on the other machine:")
    print(f"  python run.py --wheels {folder.name} demo")


def install(requirements: str, wheels: str = "") -> None:
    """Sees to it that `.venv` holds what the file asks for; at once, and without network, when it does already."""
    if is_installed(requirements):
        return
    VENV.mkdir(exist_ok=True)
    with locked():
        if is_installed(requirements):  # by the start that held the lock
            return
        is_sound = PYTHON.exists() and venv_version() in VERSIONS and not UNFINISHED.exists()
        if not is_sound:
            clear()
        known = installed()
        UNFINISHED.write_text("An install that was broken off leaves this file; the next one starts afresh.\n")
        if MARKER.exists():
            MARKER.unlink()
        if not is_sound:
            make_venv()
        try:
            add_packages(requirements, wheels)
        except Stop:  # refused before it changed anything, mostly because there is no network
            write_marker(known)
            raise
        write_marker({**known, **{name: digest(name) for name in included(requirements)}})


def is_installed(requirements: str) -> bool:
    """The marker names the file as it stands now."""
    return PYTHON.exists() and installed().get(requirements) == digest(requirements)


def installed() -> "dict[str, str]":
    """What the marker says: requirements file -> digest."""
    try:
        found = json.loads(MARKER.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(found) if isinstance(found, dict) else {}


def write_marker(known: "dict[str, str]") -> None:
    """Complete at once or not at all."""
    if known:
        new = MARKER.with_suffix(".new")
        new.write_text(json.dumps(known), encoding="utf-8")
        new.replace(MARKER)
    UNFINISHED.unlink()


def digest(requirements: str) -> str:
    """Over the file, those it includes, and the Python they are installed for."""
    files = [(ROOT / name).read_text(encoding="utf-8") for name in included(requirements)]
    return hashlib.sha256("".join(["{}.{}".format(*venv_version()), *files]).encode("utf-8")).hexdigest()


def included(requirements: str) -> "list[str]":
    """The file and those it includes, each once."""
    names = [requirements]
    for name in names:  # grows meanwhile
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        names += [line.split()[1] for line in lines if line.startswith("-r ") and line.split()[1] not in names]
    return names


def venv_version() -> "tuple[int, int]":
    """Python's version in `.venv`; (0, 0) where there is none."""
    try:
        lines = (VENV / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0, 0
    settings = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    major, minor = (settings.get("version") or settings.get("version_info") or "0.0").split(".")[:2]
    return int(major), int(minor)


@contextlib.contextmanager
def locked() -> "Iterator[None]":
    """One install at a time; the system frees the lock when its holder, and pip with it, has ended."""
    with LOCK.open("a+b") as lock:
        os.set_inheritable(lock.fileno(), True)
        is_told = False
        while not try_lock(lock.fileno()):
            if not is_told:
                print("Another start is installing: waiting for it.", file=sys.stderr)
                is_told = True
            time.sleep(0.2)
        yield


def try_lock(descriptor: int) -> bool:
    """Whether the lock is ours now."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def clear() -> None:
    """Empties `.venv`, all but the lock that is held; raises Stop where that is another folder's content."""
    if VENV.is_symlink():
        raise Stop(f"{VENV} is a link to {VENV.resolve()}, which is not emptied from here: remove the link and start"
                   " again.")
    if UNFINISHED.exists():
        print("The last install was broken off: starting afresh.", file=sys.stderr)
    for entry in VENV.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(str(entry))
        elif entry != LOCK:
            entry.unlink()


def make_venv() -> None:
    """A fresh environment with the first Python that fits."""
    python = fitting_python()
    print(f"Making {VENV} with {python} ...", file=sys.stderr)
    options = ["--without-pip"] if shutil.which("uv") else []
    if call([python, "-m", "venv", *options, str(VENV)]) != 0:
        raise Stop(f"{python} cannot make {VENV}: install its venv package (on Debian: apt install python3-venv).")


def fitting_python() -> str:
    """This Python, or one on the path, of a version that all our packages are built for."""
    if tuple(sys.version_info[:2]) in VERSIONS:
        return sys.executable
    names = [[f"python{major}.{minor}"] for major, minor in VERSIONS] + [["python3"], ["python"]]
    if os.name == "nt":
        names = [["py", f"-{major}.{minor}"] for major, minor in VERSIONS] + names
    for name in names:
        found = probed(name)
        if found:
            return found
    here = "{}.{}".format(*sys.version_info[:2])
    raise Stop(f"Pixfield needs Python 3.11, 3.12 or 3.13 and this is {here}: install one from https://www.python.org.")


def probed(command: "list[str]") -> str:
    """The interpreter behind a command, if it is there and fits."""
    program = shutil.which(command[0])
    if not program:
        return ""
    question = "import sys; print(sys.version_info[0], sys.version_info[1], sys.executable)"
    result = subprocess.run(
        [program, *command[1:], "-c", question], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    major, minor, executable = [*result.stdout.decode("utf-8", "replace").strip().split(" ", 2), "", "", ""][:3]
    return executable if (major, minor) in [(str(a), str(b)) for a, b in VERSIONS] else ""


def add_packages(requirements: str, wheels: str) -> None:
    """Installs, from the folder of wheels if one is named, with uv where it is on the path, else with pip."""
    print(f"Installing {requirements} (once) ...", file=sys.stderr)
    uv = shutil.which("uv")
    source = ["--no-index", "--find-links", wheels] if wheels else []
    if uv:
        code = call([uv, "pip", "install", "--python", str(PYTHON), *source, "-r", requirements])
    else:
        add_pip()
        code = call([str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", *source, "-r", requirements])
    if code != 0:
        raise Stop("The installation failed for the reason above: mend that (often it is the network) and start again.")


def add_pip() -> None:
    """From Python's own copy, without network."""
    if not has_pip():
        call([str(PYTHON), "-m", "ensurepip"])


def has_pip() -> bool:
    """Not in an environment that uv made."""
    return any(VENV.glob("**/site-packages/pip/__init__.py"))


def call(command: "list[str]") -> int:
    """Runs a command in the project's folder; what it says goes to standard error, standard output is the verb's."""
    sys.stdout.flush()
    sys.stderr.flush()
    return subprocess.call(command, cwd=str(ROOT), stdout=sys.__stderr__, env=environment(), close_fds=False)


def environment() -> "dict[str, str]":
    """UTF-8 everywhere; modules come from the project and `.venv`, never from the user's folder."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "VIRTUAL_ENV")}
    kept.update(PYTHONUTF8="1", PYTHONPATH=str(ROOT), PYTHONSAFEPATH="1")
    return kept


def hand_over(verb: str, arguments: "list[str]") -> int:
    """The verb's module in place of this process, in the user's folder, where relative arguments belong."""
    command = [str(PYTHON), "-c", ENTRY, VERBS[verb][0], *arguments]
    if verb == "test":
        os.chdir(str(ROOT))
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name != "nt":
        os.execve(command[0], command, environment())  # noqa: S606 - no shell is wanted
    child = subprocess.Popen(command, env=environment())
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:  # the console sends Ctrl-C to both; the child ends as it sees fit
            continue


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

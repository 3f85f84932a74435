"""Fields as people write them: forms of public workbooks, written afresh, each with what must be found in it."""

from __future__ import annotations

from dataclasses import dataclass

ASK = "return tabpy.query('image_label', _arg1)['response']"
PATH = "ATTR([Image Path])"


@dataclass(frozen=True, slots=True)
class Form:
    """A formula, the functions called in it, the endpoints asked (None: only the run tells), the findings."""

    claim: str
    formula: str
    functions: tuple[str, ...] = ("SCRIPT_STR",)
    endpoints: tuple[str | None, ...] = ("image_label",)
    codes: tuple[str, ...] = ()


FORMS = (
    Form("on one line", f'SCRIPT_STR("{ASK}", {PATH})'),
    Form(
        "single quotes outside, doubled inside",
        f"SCRIPT_STR('return tabpy.query(''image_label'', _arg1)[''response'']', {PATH})",
    ),
    Form(
        "double quotes outside, doubled inside",
        f'SCRIPT_STR("return tabpy.query(""image_label"", _arg1)[""response""]", {PATH})',
    ),
    Form(
        "Windows line ends, indented, answer by a name",
        "SCRIPT_STR(\"\r\n t = tabpy.query('image_label',_arg1)['response']\r\n print (t)\r\n return t\r\n\",\r\n"
        f"{PATH})",
    ),
    Form("Unix line ends", f'SCRIPT_STR("\n{ASK}\n",\n{PATH})'),
    Form("lower case", f'script_str("{ASK}", attr([Image Path]))'),
    Form("a space before the parenthesis", f'SCRIPT_STR ( "{ASK}" , {PATH} )'),
    Form("a line comment before, with a quote in it", f'// don\'t touch\nSCRIPT_STR("{ASK}", {PATH})'),
    Form("a block comment between the arguments", f'SCRIPT_STR("{ASK}" /* a, (b */, {PATH})'),
    Form("what looks like a comment inside the text", f'SCRIPT_STR("# http://x /* no comment\n{ASK}", {PATH})'),
    Form("a call in a comment is none", f'// SCRIPT_REAL("x", 1)\n{PATH}', (), ()),
    Form("a call in a text is none", f'"SCRIPT_STR(" + {PATH}', (), ()),
    Form("a call in a field's name is none", "[SCRIPT_STR(x)]", (), ()),
    Form("by MIN", f'SCRIPT_STR("{ASK}", MIN([Image Path]))'),
    Form("bare, which Tableau refuses", f'SCRIPT_STR("{ASK}", [Image Path])', codes=("unwrapped-field",)),
    Form("bare inside a function", f'SCRIPT_STR("{ASK}", UPPER([Image Path]))', codes=("unwrapped-field",)),
    Form(
        "MIN of two values aggregates nothing",
        f'SCRIPT_STR("{ASK}", MIN([Image Path], [Group]))',
        codes=("unwrapped-field", "unwrapped-field"),
    ),
    Form(
        "a level of detail is no aggregate",
        f'SCRIPT_STR("{ASK}", {{FIXED [Group] : MIN([Image Path])}})',
        codes=("unwrapped-field",),
    ),
    Form("an aggregate of an expression", f'SCRIPT_STR("{ASK}", MIN("a/" + [Image Path]))'),
    Form("a calculation that aggregates already", f'SCRIPT_STR("{ASK}", [Aggregated])'),
    Form("a calculation of rows", f'SCRIPT_STR("{ASK}", [Row Level])', codes=("unwrapped-field",)),
    Form(
        "with a parameter",
        "SCRIPT_STR(\"return tabpy.query('image_label', _arg1, _arg2)['response']\", "
        f"{PATH}, [Parameters].[Parameter 1])",
    ),
    Form(
        "with a parameter in ATTR",
        "SCRIPT_STR(\"return tabpy.query('image_label', _arg1, _arg2)['response']\", "
        f"{PATH}, ATTR([Parameters].[Parameter 1]))",
    ),
    Form(
        "arguments by name",
        "SCRIPT_STR(\"return tabpy.query('image_label', paths=_arg1, model=_arg2)['response']\", "
        f'{PATH}, "digits")',
    ),
    Form(
        "by place and by name at once, of which TabPy drops the named",
        f"SCRIPT_STR(\"return tabpy.query('image_label', _arg1, model='digits')['response']\", {PATH})",
        codes=("endpoint-arguments",),
    ),
    Form(
        "a parameter the function does not have",
        f"SCRIPT_STR(\"return tabpy.query('image_label', images=_arg1)['response']\", {PATH})",
        codes=("endpoint-arguments", "endpoint-arguments"),
    ),
    Form(
        "too many arguments",
        f"SCRIPT_STR(\"return tabpy.query('image_label', _arg1, 1, 2, 3)['response']\", {PATH})",
        codes=("endpoint-arguments",),
    ),
    Form(
        "a missing argument",
        f"SCRIPT_REAL(\"return tabpy.query('image_probability', _arg1)['response']\", {PATH})",
        ("SCRIPT_REAL",),
        ("image_probability",),
        ("endpoint-arguments",),
    ),
    Form(
        "an unpacked list of arguments",
        f"SCRIPT_STR(\"a = [_arg1]\nreturn tabpy.query('image_label', *a)['response']\", {PATH})",
    ),
    Form(
        "an endpoint's name with spaces",
        "SCRIPT_INT(\"return tabpy.query('Diabetes Classifier', _arg1)['response']\", SUM([Number]))",
        ("SCRIPT_INT",),
        ("Diabetes Classifier",),
        ("endpoint-missing",),
    ),
    Form(
        "a mistyped endpoint",
        f"SCRIPT_STR(\"return tabpy.query('image_lable', _arg1)['response']\", {PATH})",
        endpoints=("image_lable",),
        codes=("endpoint-missing",),
    ),
    Form(
        "another case of letters",
        f"SCRIPT_STR(\"return tabpy.query('Image_Label', _arg1)['response']\", {PATH})",
        endpoints=("Image_Label",),
        codes=("endpoint-missing",),
    ),
    Form(
        "['response'] forgotten",
        f"SCRIPT_STR(\"return tabpy.query('image_label', _arg1)\", {PATH})",
        codes=("missing-response",),
    ),
    Form(
        "['response'] forgotten behind a name",
        f"SCRIPT_STR(\"r = tabpy.query('image_label', _arg1)\nreturn r\", {PATH})",
        codes=("missing-response",),
    ),
    Form(
        "['Response'], which is no key",
        f"SCRIPT_STR(\"return tabpy.query('image_label', _arg1)['Response']\", {PATH})",
        codes=("missing-response",),
    ),
    Form(
        "['response'] on a later line",
        f"SCRIPT_STR(\"r = tabpy.query('image_label', _arg1)\nreturn r['response']\", {PATH})",
    ),
    Form("by get", f"SCRIPT_STR(\"return tabpy.query('image_label', _arg1).get('response')\", {PATH})"),
    Form(
        "the name in a variable",
        f"SCRIPT_STR(\"n = 'image_label'\nreturn tabpy.query(n, _arg1)['response']\", {PATH})",
    ),
    Form(
        "the name put together", f"SCRIPT_STR(\"return tabpy.query('image_' + 'label', _arg1)['response']\", {PATH})"
    ),
    Form(
        "an f-string of constants",
        f"SCRIPT_STR(\"k = 'label'\nreturn tabpy.query(f'image_{{k}}', _arg1)['response']\", {PATH})",
    ),
    Form(
        "an f-string of a parameter, which has a value now",
        "SCRIPT_STR(\"return tabpy.query(f'image_{_arg2[0]}', _arg1)['response']\", "
        f"{PATH}, [Parameters].[Parameter 3])",
    ),
    Form(
        "an f-string of the data",
        f"SCRIPT_STR(\"return tabpy.query(f'image_{{_arg2[0]}}', _arg1)['response']\", {PATH}, ATTR([Group]))",
        endpoints=(None,),
        codes=("endpoint-computed",),
    ),
    Form(
        "tabpy_client at once",
        f"SCRIPT_STR(\"return tabpy_client.Client('http://localhost:9004/').query('image_label', _arg1)['response']\", "
        f"{PATH})",
        codes=("client-in-script",),
    ),
    Form(
        "tabpy_client by a name",
        "SCRIPT_STR(\"import tabpy_client\nc = tabpy_client.Client('http://localhost:9004/')\n"
        f"return c.query('image_label', _arg1)['response']\", {PATH})",
        codes=("client-in-script",),
    ),
    Form(
        "TabPy's newer client",
        'SCRIPT_STR("from tabpy.tabpy_tools.client import Client\n'
        f"client = Client('http://localhost:9004/')\nreturn client.query('image_label', _arg1)['response']\", {PATH})",
        codes=("client-in-script",),
    ),
    Form(
        "a name that TabPy does not know",
        f"SCRIPT_STR(\"return tab_py.query('image_label', _arg1)['response']\", {PATH})",
        codes=("query-unknown",),
    ),
    Form(
        "a data frame's query is no endpoint",
        "SCRIPT_REAL(\"import pandas as pd\nd = pd.DataFrame({'a': _arg1})\nreturn d.query('a > 1')['a'].tolist()\", "
        "SUM([Number]))",
        ("SCRIPT_REAL",),
        (),
    ),
    Form(
        "a function in the script, looked into where it is called",
        "SCRIPT_STR(\"def ask():\n    return tabpy.query('image_label', _arg1)\nreturn ask()['response']\", "
        f"{PATH})",
    ),
    Form(
        "two endpoints, one of them in a branch",
        "SCRIPT_STR(\"if _arg2[0] > 1:\n    return tabpy.query('image_label', _arg1)['response']\n"
        f"return tabpy.query('image_status', _arg1)['response']\", {PATH}, SUM([Number]))",
        endpoints=("image_status", "image_label"),
    ),
    Form(
        "one call inside another's arguments",
        f'SCRIPT_STR("return [str(x) for x in _arg1]", SCRIPT_STR("{ASK}", {PATH}))',
        ("SCRIPT_STR", "SCRIPT_STR"),
        ("image_label",),
    ),
    Form(
        "in an IF with another",
        f'IF MIN([Number]) > 1 THEN SCRIPT_STR("{ASK}", {PATH}) ELSE '
        f"SCRIPT_STR(\"return tabpy.query('image_status', _arg1)['response']\", {PATH}) END",
        ("SCRIPT_STR", "SCRIPT_STR"),
        ("image_label", "image_status"),
    ),
    Form(
        "inside a window function",
        f"WINDOW_AVG(SCRIPT_REAL(\"return tabpy.query('image_confidence', _arg1)['response']\", {PATH}))",
        ("SCRIPT_REAL",),
        ("image_confidence",),
    ),
    Form(
        "compared with a number",
        f"SCRIPT_REAL(\"return tabpy.query('image_confidence', _arg1)['response']\", {PATH}) < 0.5",
        ("SCRIPT_REAL",),
        ("image_confidence",),
    ),
    Form(
        "no endpoint at all",
        'SCRIPT_INT("import numpy as np\nreturn (np.array(_arg1) + 1).tolist()", SUM([Number]))',
        ("SCRIPT_INT",),
        (),
    ),
    Form("a scalar answer", f"SCRIPT_STR(\"return 'Hello ' + str(_arg1[0])\", {PATH})", endpoints=()),
    Form(
        "nothing returned",
        f"SCRIPT_STR(\"tabpy.query('image_label', _arg1)['response']\", {PATH})",
        codes=("no-return",),
    ),
    Form(
        "returned inside a function only",
        f'SCRIPT_STR("def f():\n    return 1\nf()\nx = _arg1", {PATH})',
        endpoints=(),
        codes=("no-return",),
    ),
    Form(
        "an argument too few",
        f"SCRIPT_STR(\"return tabpy.query('image_label', _arg2)['response']\", {PATH})",
        codes=("argument-missing", "argument-unused"),
    ),
    Form("an argument that is not used", f'SCRIPT_STR("{ASK}", {PATH}, SUM([Number]))', codes=("argument-unused",)),
    Form(
        "no Python",
        f"SCRIPT_STR(\"return tabpy.query('image_label', _arg1['response']\", {PATH})",
        endpoints=(),
        codes=("script-syntax",),
    ),
    Form(
        "R",
        'SCRIPT_REAL("fit <- lm(.arg1 ~ .arg2)\nfit$fitted", SUM([Number]), SUM([Number]))',
        ("SCRIPT_REAL",),
        (),
        ("script-r",),
    ),
    Form(
        "the wrong type",
        f"SCRIPT_STR(\"return tabpy.query('image_confidence', _arg1)['response']\", {PATH})",
        endpoints=("image_confidence",),
        codes=("result-type",),
    ),
    Form(
        "the table as a field",
        f"SCRIPT_STR(\"return tabpy.query('image_table', _arg1)['response']\", {PATH})",
        endpoints=("image_table",),
        codes=("result-type",),
    ),
    Form("a model by name", f'MODEL_EXTENSION_STR("image_label", "paths", {PATH})', ("MODEL_EXTENSION_STR",)),
    Form(
        "a model with two arguments",
        f'MODEL_EXTENSION_STR("image_label", "paths", "model", {PATH}, [Parameters].[Parameter 1])',
        ("MODEL_EXTENSION_STR",),
    ),
    Form(
        "a model's argument by a name it does not have",
        f'MODEL_EXTENSION_STR("image_label", "images", {PATH})',
        ("MODEL_EXTENSION_STR",),
        codes=("endpoint-arguments", "endpoint-arguments"),
    ),
    Form(
        "a model without its arguments' names",
        f'MODEL_EXTENSION_STR("image_label", {PATH})',
        ("MODEL_EXTENSION_STR",),
        codes=("model-arguments", "endpoint-arguments"),
    ),
    Form(
        "a model of the wrong type",
        f'MODEL_EXTENSION_REAL("image_label", "paths", {PATH})',
        ("MODEL_EXTENSION_REAL",),
        codes=("result-type",),
    ),
    Form(
        "a script in two texts",
        f"SCRIPT_STR(\"return tabpy.query('image_label', \" + \"_arg1)['response']\", {PATH})",
    ),
    Form("a script from the data", f"SCRIPT_STR(ATTR([Group]), {PATH})", endpoints=(), codes=("script-computed",)),
    Form("a field that is gone", f'SCRIPT_STR("{ASK}", ATTR([Gone]))', codes=("field-unknown",)),
    Form("brackets in a field's name", f'SCRIPT_STR("{ASK}", ATTR([Path [old]]]))', codes=("field-unknown",)),
    Form(
        "a text without an end",
        f'SCRIPT_STR("{ASK}, {PATH})',
        codes=("formula-broken", "script-computed"),
        endpoints=(),
    ),
    Form("a call without an end", f'SCRIPT_STR("{ASK}", {PATH}', codes=("formula-broken",)),
    Form("Japanese and an umlaut", f'// 画像の分類 für alle\nSCRIPT_STR("# 日本\n{ASK}", {PATH})'),
)

"""The extract to Tableau Server or Cloud by tableauserverclient, signed in with a personal access token.

The token comes from the environment, never from the command line, where other users of the machine would see it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from workbooks.enrich.errors import PublishError
from workbooks.site import is_address

if TYPE_CHECKING:
    import tableauserverclient as tsc

TOKEN_NAME, TOKEN_SECRET = "TABLEAU_TOKEN_NAME", "TABLEAU_TOKEN_SECRET"
_TIMEOUT_S = 300.0  # a chunk of 50 MB over a slow line


@dataclass(frozen=True, slots=True)
class Place:
    """Where the extract goes: a project of a site ("" is the default one), under a name."""

    url: str
    site: str
    project: str
    name: str
    token_name: str
    token_secret: str = field(repr=False)

    @classmethod
    def of(cls, *, url: str | None, site: str, project: str, name: str, environment: Mapping[str, str] = os.environ
           ) -> Self:
        """The place; raises PublishError where the address, the token or tableauserverclient is missing."""
        if not url or not is_address(url):
            raise PublishError("--publish needs --tableau-url with Tableau's address, such as"
                               " https://prod-apnortheast-a.online.tableau.com.")
        missing = [variable for variable in (TOKEN_NAME, TOKEN_SECRET) if not environment.get(variable)]
        if missing:
            raise PublishError(f"--publish needs a personal access token in the environment: set {TOKEN_NAME} and"
                               f" {TOKEN_SECRET} (missing: {', '.join(missing)}). Tableau makes one under My Account"
                               " Settings.")
        try:
            import tableauserverclient  # noqa: F401 - whether it is there
        except ImportError as exc:
            raise PublishError(f"--publish needs tableauserverclient, which cannot be loaded ({exc}): install it with"
                               " python run.py tableau") from exc
        return cls(url, site, project, name, environment[TOKEN_NAME], environment[TOKEN_SECRET])

    def check(self) -> None:
        """Sign in and find the project, so that a mistake is known before anything is asked of the model.

        Raises:
            PublishError: Tableau refuses, or has no such project.
        """
        with self._signed_in() as server:
            self._project_id(server)

    def publish(self, file: Path) -> str:
        """Put the extract in the place of what has its name there; returns its id (in chunks above 64 MB).

        Raises:
            PublishError: Tableau refuses.
        """
        import tableauserverclient as tsc

        with self._signed_in() as server:
            item = tsc.DatasourceItem(self._project_id(server), name=self.name)
            published = server.datasources.publish(item, file, tsc.Server.PublishMode.Overwrite)
            return str(published.id)

    @contextlib.contextmanager
    def _signed_in(self) -> Iterator[tsc.Server]:
        import requests
        import tableauserverclient as tsc
        from tableauserverclient.server.endpoint import exceptions

        try:
            server = tsc.Server(self.url, use_server_version=True, http_options={"timeout": _TIMEOUT_S})
            with server.auth.sign_in(tsc.PersonalAccessTokenAuth(self.token_name, self.token_secret,
                                                                 site_id=self.site)):
                yield server
        except exceptions.FailedSignInError as exc:
            raise PublishError(f"{self.url} does not take the token {self.token_name!r} for the site"
                               f" {self.site or '(default)'!r}: make a new one, or name the site with --site.") from exc
        except exceptions.ServerResponseError as exc:
            raise PublishError(f"{self.url} refuses ({exc.code}): {exc.summary}. {exc.detail}") from exc
        except (exceptions.TableauError, requests.RequestException, OSError) as exc:
            raise PublishError(f"{self.url} cannot be reached or gives no answer of Tableau's ({exc}): look at"
                               " --tableau-url.") from exc

    def _project_id(self, server: tsc.Server) -> str:
        """The project's id; `Sales/Pictures` is one inside another."""
        import tableauserverclient as tsc

        parent: str | None = None
        projects = list(tsc.Pager(server.projects))
        for name in self.project.split("/"):
            found = [project for project in projects if (project.name or "").casefold() == name.strip().casefold()
                     and (project.parent_id or None) == parent]
            if not found:
                names = sorted({project.name or "" for project in projects})
                raise PublishError(f"The site has no project {self.project!r}: name one of {', '.join(names[:20])} with"
                                   " --project (A/B is B inside A).")
            parent = found[0].id
        return str(parent)

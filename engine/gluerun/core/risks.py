"""What speaks for letting a person look: signals, one sentence each, about a task's text or about its finished work."""

from __future__ import annotations

from gluerun.core.patterns import matcher
from gluerun.core.pipeline import OF_TASKS, has_gate
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from gluerun.records.config import Config
    from gluerun.records.task import TaskSpec

# What each sensitive path is, and by which names it is known; `riskPaths` takes the place of all of them.
SENSITIVE: dict[str, tuple[str, ...]] = {
    "how the repository is built and tested elsewhere": (
        ".github/", ".gitlab-ci.yml", ".gitlab/", ".circleci/", ".buildkite/", "Jenkinsfile", "azure-pipelines.yml",
        ".travis.yml", ".drone.yml", "CODEOWNERS", ".pre-commit-config.yaml",
    ),
    "what is installed": (
        "pyproject.toml", "setup.py", "setup.cfg", "requirements*.txt", "requirements/", "Pipfile", "package.json",
        "go.mod", "Cargo.toml", "Gemfile", "pom.xml", "build.gradle", "build.gradle.kts", "composer.json", "*.csproj",
        ".npmrc",
    ),
    "a lock file": (
        "*.lock", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "go.sum", "uv.lock", "Pipfile.lock",
    ),
    "how it is packed and deployed": (
        "Dockerfile", "Dockerfile.*", "*.dockerfile", "docker-compose*.yml", "docker-compose*.yaml", "compose.yaml",
        "compose.yml", "*.tf", "helm/", "k8s/", "kubernetes/", "deploy/", "terraform/", "Procfile",
    ),
    "a migration of data": ("migrations/", "migration/", "migrate/", "alembic/", "*.sql"),
    "who may do what, or a secret": (
        "auth/", "auth.*", "*_auth.*", "auth_*.*", "*login*", "*password*", "*secret*", "*credential*", "*token*",
        "*permission*", "*crypto*", "security/", ".env", ".env.*", "*.pem", "*.key",
    ),
}  # fmt: skip
# Files whose names say no more than a folder's would.
_FILES = frozenset(
    {
        "Makefile", "Dockerfile", "LICENSE", "README", "justfile", "Gemfile", "Rakefile", "Procfile", "Jenkinsfile",
        "CODEOWNERS", "NOTICE", "CHANGELOG", "AUTHORS", "VERSION", "COPYING", "Vagrantfile", "Brewfile", "Podfile",
    }
)  # fmt: skip
MOST_OWNED = 10
MOST_FILES = 30
MOST_LINES = 800
_SHOWN = 3


@record
class Work:
    """Finished work, as far as signals of risk can be read from it.

    `tests` is what became of the tests, in one line, `on_base` how the gate ended on the base with the new ones.
    """

    changed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    lines: int = 0
    tests: str = ""
    is_waived: bool = False
    met_limit: bool = False
    closed_unnamed: int = 0
    is_unread: bool = False


@record
class Facts:
    """What is known of a proved candidate: its difference from the target, its evidence, and signals of risk."""

    candidate: str
    diff_sha256: str
    receipt: str | None = None
    verdict: str | None = None
    work: Work = Work()


def of_plan(spec: TaskSpec, config: Config) -> tuple[str, ...]:
    """Return what speaks for a look at a task's text before it is started."""
    owned = spec.owned_files
    found = [*_sensitive((form for path in owned for form in (path, f"{path}/")), config, "it may change")]
    tops = [path for path in owned if "/" not in path and "." not in path and path not in _FILES]
    found += [f"it owns a whole folder at the top: {_named(tops)}"] if tops else []
    found += [f"it owns {len(owned)} files and folders"] if len(owned) > MOST_OWNED else []
    found += [] if _is_judged(spec, config) else ["no gate would judge it"]
    return tuple(found)


def of_landing(work: Work, spec: TaskSpec, config: Config) -> tuple[str, ...]:
    """Return what speaks for a look at finished work before it lands."""
    found = [*_sensitive(work.changed, config, "it changes")]
    found += [f"the tests prove less than before: {work.tests}"] if work.tests else []
    found += ["an auditor's judgement was waived"] if work.is_waived else []
    found += ["a try of it ran into a limit"] if work.met_limit else []
    count = work.closed_unnamed
    found += [f"{_many(count, 'finding')} closed by accepting, never named as mended"] if count else []
    found += [f"{_many(len(work.deleted), 'file')} deleted: {_named(work.deleted)}"] if work.deleted else []
    if len(work.changed) > MOST_FILES or work.lines > MOST_LINES:
        found.append(f"it is big: {len(work.changed)} files, {work.lines} lines")
    found += [] if _is_judged(spec, config) else ["no gate has judged it"]
    found += ["its evidence cannot be read"] if work.is_unread else []
    return tuple(found)


def _sensitive(paths: Iterable[str], config: Config, verb: str) -> list[str]:
    # A folder is tried in two forms, and named in the shorter one.
    forms = list(dict.fromkeys(paths))
    table = {"what `riskPaths` names": config.risk_paths} if config.risk_paths else SENSITIVE
    found = []
    for kind, patterns in table.items():
        wanted = matcher(patterns)
        hits = list(dict.fromkeys(path.rstrip("/") for path in forms if wanted.fullmatch(path)))
        if hits:
            found.append(f"{verb} {kind}: {_named(hits)}")
    return found


def _is_judged(spec: TaskSpec, config: Config) -> bool:
    return any(has_gate(config, spec.gate_command, occasion) for occasion in OF_TASKS)


def _named(paths: Iterable[str]) -> str:
    shown = sorted(paths)
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(f"`{path}`" for path in shown[:_SHOWN]) + more


def _many(count: int, what: str) -> str:
    return f"{count} {what} was" if count == 1 else f"{count} {what}s were"

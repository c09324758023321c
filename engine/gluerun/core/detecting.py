"""What kind of project this is, seen from the names of its files and a few of their texts: language, tests, areas."""

from __future__ import annotations

import json
import re

from gluerun.errors import SchemaError
from gluerun.records.paths import scope_entry
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

NO_GATE = "false"
# The files whose texts are looked into; of all others the name says enough.
TOLD = (
    "package.json", "pyproject.toml", "setup.cfg", "tox.ini", "noxfile.py", "GNUmakefile", "makefile", "Makefile",
    "justfile", "Justfile", "composer.json", "Rakefile", "deno.json", "mix.exs",
)  # fmt: skip
# Folders that hold no work of the project's own.
NO_AREAS = frozenset(
    {
        "node_modules", "vendor", "third_party", "dist", "build", "target", "out", "bin", "obj", "coverage",
        "htmlcov", "__pycache__", "venv", "env", "site-packages", "tmp", "log", "logs", "docs",
    }
)  # fmt: skip
SOURCES = (
    "py", "js", "jsx", "ts", "tsx", "mjs", "go", "rs", "java", "kt", "kts", "scala", "rb", "php", "cs", "fs", "c", "h",
    "cc", "cpp", "hpp", "swift", "ex", "exs", "erl", "hs", "ml", "clj", "dart", "zig", "sh", "sql", "lua", "vue",
)  # fmt: skip
NESTED = ("src", "packages", "apps", "services", "crates", "cmd", "internal", "pkg", "lib", "libs", "modules")
MOST_AREAS = 12


@record
class Detected:
    """What was found: an empty language and the gate `false` where nothing was; `reason` says what it rests on."""

    language: str = ""
    gate_command: str = NO_GATE
    reason: str = ""
    areas: dict[str, tuple[str, ...]] = {}  # noqa: RUF012 a default that is never changed


@record
class Kind:
    """One kind of project: the file that tells it, the command for its tests, and what else must be true."""

    language: str
    file: str
    command: str
    when: Callable[[Seen], bool] | None = None


@record
class Seen:
    """The names of a project's files, as paths from its top, and the texts of those that say more."""

    names: frozenset[str]
    texts: dict[str, str]

    def text(self, name: str) -> str:
        """Return a file's text; empty if it is not there."""
        return self.texts.get(name, "")

    def any(self, pattern: str) -> bool:
        """Tell whether some path matches all of *pattern*."""
        found = re.compile(pattern)
        return any(found.fullmatch(name) for name in self.names)


def detect(names: Collection[str], texts: Mapping[str, str]) -> Detected:
    """Say what the files of a project tell of it."""
    seen = Seen(names=frozenset(names), texts=dict(texts))
    matches = [kind for kind in KINDS if kind.file in seen.names or (kind.file.startswith("*") and _ends(seen, kind))]
    language = matches[0].language if matches else ""
    gate = next((kind for kind in matches if kind.command and (kind.when is None or kind.when(seen))), None)
    return Detected(
        language=gate.language or language if gate else language,
        gate_command=gate.command if gate else NO_GATE,
        reason=gate.file if gate else "",
        areas=areas(names),
    )


def areas(names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Propose an area for each top folder with source in it; for those of a folder that only gathers others, these."""
    found: dict[str, int] = {}
    for name in names:
        parts = name.split("/")
        if len(parts) < 2 or parts[-1].rpartition(".")[2] not in SOURCES or _is_left_out(parts[:-1]):
            continue
        depth = 2 if parts[0] in NESTED and len(parts) > 2 else 1
        folder = "/".join(parts[:depth])
        if not _can_be_named(folder):
            continue
        found[folder] = found.get(folder, 0) + 1
    largest = sorted(sorted(found, key=lambda folder: (-found[folder], folder))[:MOST_AREAS])
    # Beside areas of its inner folders the outer one would only overlap with them.
    leaves = [one for one in largest if not any(other.startswith(f"{one}/") for other in largest)]
    proposed: dict[str, tuple[str, ...]] = {}
    for folder in leaves:
        name = _area_name(folder.rpartition("/")[2])
        if name and name in proposed:
            name = _area_name(folder.replace("/", "-"))
        if name:
            proposed[name] = (folder,)
    return proposed


def _is_left_out(folders: list[str]) -> bool:
    return any(one in NO_AREAS or one.startswith(".") for one in folders)


def _can_be_named(folder: str) -> bool:
    try:
        return folder.isprintable() and scope_entry(folder) == folder
    except SchemaError:
        return False


def _area_name(folder: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", folder).strip("-_")[:40]


def _ends(seen: Seen, kind: Kind) -> bool:
    return any(name.endswith(kind.file[1:]) for name in seen.names)


def _is_npm_test(seen: Seen) -> bool:
    try:
        script = json.loads(seen.text("package.json") or "{}").get("scripts", {}).get("test", "")
    except (ValueError, AttributeError, RecursionError):
        return False
    # What `npm init` writes is no test.
    return bool(script) and "no test specified" not in str(script)


def _is_composer_test(seen: Seen) -> bool:
    try:
        return bool(json.loads(seen.text("composer.json") or "{}").get("scripts", {}).get("test", ""))
    except (ValueError, AttributeError, RecursionError):
        return False


def _is_pytest(seen: Seen) -> bool:
    if {"pytest.ini", "conftest.py"} & seen.names:
        return True
    told = any("pytest" in seen.text(name) for name in ("pyproject.toml", "setup.cfg", "tox.ini"))
    return told or seen.any(r"tests?/(.+/)?test_[^/]*\.py")


def _has_tox(seen: Seen) -> bool:
    return "[tox" in seen.text("tox.ini")


def _locked_by(name: str) -> Callable[[Seen], bool]:
    return lambda seen: name in seen.names and _is_npm_test(seen)


def _target(file: str, pattern: str) -> Callable[[Seen], bool]:
    return lambda seen: re.search(pattern, seen.text(file), re.MULTILINE) is not None


# The first kind that has a command for its tests wins; a task runner knows best how a project is tested, but says
# nothing of its language, so it stands last. A table is read by column.
# fmt: off
KINDS: tuple[Kind, ...] = (
    Kind(language="python", file="pyproject.toml",      command="pytest -q", when=_is_pytest),
    Kind(language="python", file="setup.py",            command="pytest -q", when=_is_pytest),
    Kind(language="python", file="setup.cfg",           command="pytest -q", when=_is_pytest),
    Kind(language="python", file="pytest.ini",          command="pytest -q"),
    Kind(language="python", file="conftest.py",         command="pytest -q"),
    Kind(language="python", file="tox.ini",             command="pytest -q", when=_is_pytest),
    Kind(language="python", file="tox.ini",             command="tox -q", when=_has_tox),
    Kind(language="python", file="noxfile.py",          command="nox"),
    Kind(language="javascript", file="package.json",    command="pnpm test", when=_locked_by("pnpm-lock.yaml")),
    Kind(language="javascript", file="package.json",    command="yarn test", when=_locked_by("yarn.lock")),
    Kind(language="javascript", file="package.json",    command="bun run test", when=_locked_by("bun.lock")),
    Kind(language="javascript", file="package.json",    command="npm test --silent", when=_is_npm_test),
    Kind(language="javascript", file="deno.json",       command="deno test"),
    Kind(language="go", file="go.mod",                  command="go test ./..."),
    Kind(language="rust", file="Cargo.toml",            command="cargo test -q"),
    Kind(language="java", file="mvnw",                  command="./mvnw -q test"),
    Kind(language="java", file="pom.xml",               command="mvn -q test"),
    Kind(language="java", file="gradlew",               command="./gradlew -q test"),
    Kind(language="java", file="build.gradle",          command="gradle -q test"),
    Kind(language="kotlin", file="build.gradle.kts",    command="gradle -q test"),
    Kind(language="c#", file="*.sln",                   command="dotnet test"),
    Kind(language="c#", file="*.csproj",                command="dotnet test"),
    Kind(language="php", file="composer.json",          command="composer test", when=_is_composer_test),
    Kind(language="php", file="phpunit.xml",            command="vendor/bin/phpunit"),
    Kind(language="elixir", file="mix.exs",             command="mix test"),
    Kind(language="swift", file="Package.swift",        command="swift test"),
    Kind(language="dart", file="pubspec.yaml",          command="dart test"),
    Kind(language="ruby", file=".rspec",                command="bundle exec rspec"),
    Kind(language="ruby", file="Rakefile",              command="rake test", when=_target("Rakefile", "TestTask")),
    Kind(language="zig", file="build.zig",              command="zig build test"),
    *(Kind(language="", file=name,                      command="make test", when=_target(name, r"^test\s*:(?!=)"))
      for name in ("GNUmakefile", "makefile", "Makefile")),
    *(Kind(language="", file=name,                      command="just test", when=_target(name, r"^test\b[^:=]*:(?!=)"))
      for name in ("justfile", "Justfile")),
)
# fmt: on

"""Sessions for developers: tests, lint, native sanitizer builds and benchmarks, each in its own environment."""

import nox

nox.options.sessions = ["lint", "tests"]


@nox.session
def tests(session: nox.Session) -> None:
    """The Python tests against a fresh build."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Formatting, style and types, Python and C++."""
    session.install("-e", ".[dev]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    files = session.run("git", "ls-files", "csrc", "tests/native/*pp", "bench/*.cpp", external=True, silent=True)
    session.run("clang-format", "--dry-run", "-Werror", *str(files).split())


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, every warning an error; it runs the gallery."""
    session.install(".[docs]")
    session.run("python", "-m", "sphinx", "-EWnq", "docs", "build/docs")


@nox.session
@nox.parametrize("preset", ["dev", "asan", "tsan", "tidy"])
def native(session: nox.Session, preset: str) -> None:
    """The C++ tests of one CMake preset, without Python."""
    session.install("cmake", "ninja", "scipy-openblas32", "clang-tidy")
    session.run("cmake", "--preset", preset)
    session.run("cmake", "--build", "--preset", preset)
    session.run("ctest", "--preset", preset)


@nox.session
def bench(session: nox.Session) -> None:
    """Interleaved comparison with other libraries, for example: nox -s bench -- knn-gaussian-10k."""
    session.install(".[dev]")
    session.run("python", "-m", "bench.run", *(session.posargs or ["--list"]))

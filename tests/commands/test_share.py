"""Sharing on real remotes: what one pushes, another pulls, and nothing is left to compute."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.helpers import remote_servers
from tests.helpers.toy_pipeline import ENV
from tests.helpers.toy_repository import OFF, ToyRepository, create_repository

pytestmark = pytest.mark.slow


class Shared(ToyRepository):
    """A clone that is shared."""

    def share(self, *arguments: str, code: int = 0, stdin: str = ""):
        words = [sys.executable, "-m", "stages", "share", *arguments]
        done = subprocess.run(words, cwd=self.root, env={**ENV, **OFF}, capture_output=True, text=True, input=stdin)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Shared:
    """A repository whose two stages have run, with an experiment of other parameters."""
    project = Shared(create_repository(tmp_path_factory.mktemp("share") / "author").root)
    project.dvc("exp", "run", "-q", "-n", "other", "-S", "two.lr=0.5")
    project.git("checkout", "-q", "--", ".")
    project.dvc("checkout", "-q")
    return project


@pytest.fixture
def author(finished, tmp_path) -> Shared:
    """A copy of the finished repository, with a git remote."""
    shutil.copytree(finished.root, tmp_path / "author", symlinks=True)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(tmp_path / "origin.git")], check=True)
    author = Shared(tmp_path / "author")
    author.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    return author


def push(author: Shared) -> None:
    """What `share` says to type."""
    author.dvc("push", "-q")
    author.git("add", "dvc.lock", ".dvc/config", "data")
    author.git("commit", "-qm", "Share the data")
    author.git("push", "-qu", "origin", "HEAD")


def clone(author: Shared, *share: str, stdin: str = "") -> Shared:
    """A colleague's clone, who logs in, pulls, and has nothing left to compute."""
    root = author.root.parent / "colleague"
    subprocess.run(["git", "clone", "-q", str(author.root.parent / "origin.git"), str(root)], check=True)
    colleague = Shared(root)
    if share:
        colleague.share(*share, stdin=stdin)
    colleague.dvc("pull", "-q")
    assert json.loads(colleague.dvc("status", "--json").stdout) == {}
    told = colleague.dvc("repro").stdout
    assert "Running stage" not in told and "up to date" in told
    assert (root / "data/two/model/a.txt").read_text() == "0.1"
    return colleague


def check_data_of_one_set(author: Shared, **env: str) -> None:
    """`dvc get` and `dvc import` take one output out of the repository, by its git address."""
    root = author.root.parent / "other"
    root.mkdir()
    other = Shared(root)
    other.git("init", "-q")
    other.dvc("init", "-q")
    origin = str(author.root.parent / "origin.git")
    other.dvc("get", "-q", origin, "data/one/model", "-o", "got", **env)
    other.dvc("import", "-q", origin, "data/two/model", "-o", "imported", **env)
    assert (root / "got/a.txt").read_text() == "0.001" and (root / "imported/a.txt").read_text() == "0.1"


def check_experiment(author: Shared, colleague: Shared) -> None:
    """An experiment travels with its data, also one on a commit from before the remote."""
    author.dvc("exp", "push", "-q", "origin", "other")
    colleague.dvc("exp", "pull", "-q", "origin", "other")
    colleague.dvc("exp", "apply", "other")
    assert (colleague.root / "data/two/model/a.txt").read_text() == "0.5"


def test_without_a_remote_the_four_kinds_are_explained(author):
    told = author.share()
    for word in ("No remote", "share /shared", "s3://", "ssh://", "https://", "config.local"):
        assert word in told
    assert not (author.root / ".dvc/config.local").exists()


def test_folder(author, tmp_path):
    told = author.share(str(tmp_path / "store"))
    assert "files are here alone" in told and "dvc push" in told and "git add dvc.lock .dvc/config data" in told
    assert "1 of 1 not on origin" in told and "dvc exp push origin other" in told
    push(author)
    told = author.share()
    assert "all there" in told and "dvc push" not in told and "git push" not in told
    colleague = clone(author)
    colleague.share(str(tmp_path / "store"))
    check_data_of_one_set(author)
    check_experiment(author, colleague)
    assert "1, all on origin" in author.share()
    stored = next(path for path in (tmp_path / "store").rglob("*") if path.is_file() and path.stat().st_size == 5)
    stored.chmod(0o644)
    stored.write_text("wrong")  # the remote's disk: a pull notices
    shutil.rmtree(colleague.root / ".dvc/cache")
    shutil.rmtree(colleague.root / "data/one/model")
    colleague.git("checkout", "-qf", "main")
    assert "failed to" in colleague.dvc("pull", code=1).stderr + colleague.dvc("pull", code=1).stdout


def test_s3(author):
    with remote_servers.serve_s3("bucket") as endpoint:
        keys = f"{remote_servers.ACCESS_KEY}\n{remote_servers.SECRET_KEY}\n"
        told = author.share("s3://bucket/assay", "--endpoint", endpoint, "--login", stdin=keys)
        assert remote_servers.SECRET_KEY not in told and "access_key_id, secret_access_key in .dvc/config.local" in told
        push(author)
        colleague = clone(author, "--login", stdin=keys)
        login = {"AWS_ACCESS_KEY_ID": remote_servers.ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": remote_servers.SECRET_KEY}
        check_data_of_one_set(author, **login)
        check_experiment(author, colleague)
        for project in (author, colleague):
            assert remote_servers.SECRET_KEY not in project.git("log", "-p", "--all")
            assert (project.root / ".dvc/config.local").stat().st_mode & 0o077 == 0
            assert remote_servers.SECRET_KEY in (project.root / ".dvc/config.local").read_text()
            assert "config.local" not in project.git("status", "--porcelain", "--untracked-files=all")


def test_ssh(author, tmp_path):
    (tmp_path / "server/assay").mkdir(parents=True)
    key = tmp_path / "key"
    with remote_servers.serve_ssh(tmp_path / "server", key) as url:
        assert "keyfile in .dvc/config.local" in author.share(url, "--key", str(key))
        push(author)
        colleague = clone(author, "--key", str(key))
        check_experiment(author, colleague)


def test_http_is_read_only(author, tmp_path):
    author.share(str(tmp_path / "store"), "--name", "disk")
    with remote_servers.serve_http(tmp_path / "store") as url:
        author.dvc("push", "-q", "-r", "disk")
        assert "all there" in author.share(url, "--name", "web")
        author.git("add", ".dvc/config", "dvc.lock", "data")
        author.git("commit", "-qm", "Share the data")
        author.git("push", "-qu", "origin", "HEAD")
        clone(author)
        author.replace_text("params.yaml", "lr: 0.1", "lr: 0.7")
        author.dvc("repro", "-q")
        told = author.share()
        assert "HTTP is read only: push from a machine that writes the folder" in told and "dvc push" not in told
        assert "501" in author.dvc("push", code=1).stderr  # and this is what DVC says of it
    assert "the remote cannot be read" in author.share()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ftp://host/x"], "not known here; allowed are a folder, s3://"),
        (["https://me:hunter2@host/x"], "leave it out and add --login"),
        (["ssh://me:hunter2@host/x"], "leave it out and add --login"),
        (["s3:///x"], "names no bucket"),
        (["data"], "is inside the repository"),
        (["dvc.yaml"], "is inside the repository"),
        (["/dev/null"], "is a file"),
        ([""], "the address is empty"),
        (["/tmp", "--login"], "a folder has none"),
        (["/tmp", "--key", "x"], "--key: is for SSH"),
        (["ssh://h/x", "--key", "nope"], "no such file"),
        (["ssh://h/x", "--endpoint", "http://h"], "--endpoint: is for S3"),
        (["s3://b/x", "--login"], "no access_key_id was given; nothing was changed"),
        (["--login"], "belong to an address"),
    ],
)
def test_mistakes_are_one_sentence_and_change_nothing(finished, arguments, message):
    before = (finished.root / ".dvc/config").read_text()
    told = finished.share(*arguments, code=2)
    assert message in told and len(told.strip().splitlines()) == 1 and "hunter2" not in told
    assert (finished.root / ".dvc/config").read_text() == before
    assert not (finished.root / ".dvc/config.local").exists()


def test_a_name_is_not_given_to_another_address(author, tmp_path):
    author.share(str(tmp_path / "a"))
    told = author.share(str(tmp_path / "b"), code=2)
    assert f"remote store: is {tmp_path / 'a'} already" in told
    author.share(str(tmp_path / "b"), "--name", "second")
    assert "second" in author.dvc("remote", "default").stdout


def test_an_address_that_moved_is_told(author, tmp_path):
    author.share(str(tmp_path / "a"))
    author.replace_text(".dvc/config", str(tmp_path / "a"), str(tmp_path / "b"))  # a colleague's commit
    assert f".dvc/config says {tmp_path / 'b'}, .dvc/config.local another address" in author.share()
    author.share(str(tmp_path / "b"))
    assert "conflict" not in author.share()


def test_a_secret_in_git_is_told(author, tmp_path):
    author.share(str(tmp_path / "a"))
    with open(author.root / ".dvc/config", "a") as file:
        file.write("    password = hunter2\n")
    told = author.share()
    assert "password in .dvc/config, which goes to git" in told and "hunter2" not in told

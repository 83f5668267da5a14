"""Where the key comes from, and who may read it."""

import stat
from pathlib import Path

import pytest

from covey.client import Profile, ProfileError, load_profile, profile_path, save_profile
from covey.client.profile import readable_by_others


def test_what_is_saved_is_loaded_and_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "profile.toml"
    kept = Profile('http://x/"quoted"\\', "covey_sk_é\x1b", "space", admin_key="root")
    save_profile(kept, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not readable_by_others(path)
    loaded = load_profile({"COVEY_PROFILE": str(path)})
    assert (loaded.url, loaded.api_key, loaded.workspace, loaded.admin_key) == (
        kept.url,
        kept.api_key,
        kept.workspace,
        kept.admin_key,
    )


def test_saving_over_an_open_file_closes_it_to_others(tmp_path: Path) -> None:
    path = tmp_path / "profile.toml"
    path.write_text("url = 'http://old'")
    path.chmod(0o644)
    assert readable_by_others(path)
    save_profile(Profile("http://new"), path)
    assert not readable_by_others(path)


def test_the_environment_stands_above_the_file(tmp_path: Path) -> None:
    path = save_profile(Profile("http://file", "file-key", "file-space"), tmp_path / "profile.toml")
    loaded = load_profile({"COVEY_PROFILE": str(path), "COVEY_API_KEY": "env-key", "COVEY_URL": "http://env"})
    assert (loaded.url, loaded.api_key, loaded.workspace) == ("http://env", "env-key", "file-space")
    assert loaded.source == "COVEY_API_KEY"


@pytest.mark.parametrize("name", ["COVEY_URL", "COVEY_API_KEY", "COVEY_WORKSPACE", "COVEY_ADMIN_KEY", "COVEY_PROFILE"])
def test_a_variable_that_is_set_to_nothing_is_a_mistake(tmp_path: Path, name: str) -> None:
    """The file may hold another server's key, so it does not take the place of an empty variable."""
    path = save_profile(Profile("http://file", "file-key", "file-space"), tmp_path / "profile.toml")
    for nothing in ("", " "):
        with pytest.raises(ProfileError, match=f"{name} is set, but empty"):
            load_profile({"COVEY_PROFILE": str(path), name: nothing})


def test_a_profile_does_not_show_its_keys() -> None:
    assert "secret" not in repr(Profile("http://x", "secret-1", "space", admin_key="secret-2"))


def test_without_anything_the_server_is_here(tmp_path: Path) -> None:
    assert load_profile({"XDG_CONFIG_HOME": str(tmp_path)}).url == "http://127.0.0.1:8000"
    assert profile_path({"XDG_CONFIG_HOME": str(tmp_path)}) == tmp_path / "covey" / "profile.toml"


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "profile.toml"
    path.write_text("url = http")
    with pytest.raises(ProfileError, match=r"profile\.toml"):
        load_profile({"COVEY_PROFILE": str(path)})

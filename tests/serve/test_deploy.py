"""The files in deploy/: what a linter would check of the Dockerfile, that both name what exists, and that the wheel builds."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from emotune.cli import app
from emotune.serve.app import make_app
from emotune.serve.models import Models
from emotune.serve.settings import KEYS_VARIABLE, ServeSettings
from emotune.system.version import __version__

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
INSTRUCTIONS = {
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "RUN",
    "STOPSIGNAL",
    "USER",
    "WORKDIR",
}


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, continued lines joined."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found = [line.partition(" ") for line in joined.splitlines() if line.strip()]
    return [(name, rest.strip()) for name, _, rest in found]


def of_last_stage() -> dict[str, str]:
    """The instructions of the image itself; the last of each kind."""
    found = instructions()
    start = max(number for number, (name, _) in enumerate(found) if name == "FROM")
    return dict(found[start:])


def served_words(words: list[str]) -> dict[str, Any]:
    """The values of a command line of `emotune serve`; an option that does not exist ends the test."""
    group: Any = get_command(app)
    return dict(group.commands["serve"].make_context("serve", words).params)


class TestDockerfile:
    def test_has_known_instructions_and_two_stages(self) -> None:
        found = instructions()
        assert {name for name, _ in found} <= INSTRUCTIONS
        assert [name for name, _ in found].count("FROM") == 2
        assert found[0][0] == "FROM"

    def test_names_versions_of_its_bases(self) -> None:
        for name, rest in instructions():
            if name == "FROM":
                image = rest.split()[0]
                assert ":" in image
                assert not image.endswith(":latest")

    def test_pins_what_it_installs(self) -> None:
        installs = [rest for name, rest in instructions() if name == "RUN" and "pip install" in rest]
        assert len(installs) == 2
        assert all("==" in rest and "--no-cache-dir" in rest for rest in installs)
        assert "--constraint requirements.lock" in installs[-1]
        assert re.search(r"^torch==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)

    def test_does_not_run_as_root(self) -> None:
        user = of_last_stage()["USER"].partition(":")[0]
        # Kubernetes can check a number, not a name.
        assert int(user) >= 1000
        created = next(rest for name, rest in instructions() if name == "RUN" and "useradd" in rest)
        assert f"--uid {user} " in created

    def test_checks_its_health_and_stops_gracefully(self) -> None:
        stage = of_last_stage()
        command = json.loads(stage["HEALTHCHECK"].partition("CMD ")[2])
        assert "/ready" in command[-1]
        compile(command[-1], "health check", "exec")
        assert stage["STOPSIGNAL"] == "SIGTERM"
        # A shell between the signal and the process would keep it.
        entry = json.loads(stage["ENTRYPOINT"])
        assert entry[:2] == ["emotune", "serve"]
        given = served_words([*entry[2:], *json.loads(stage["CMD"])])
        assert given["host"] == "0.0.0.0"
        assert str(given["port"]) == stage["EXPOSE"]

    def test_copies_what_exists_and_the_builder_sees(self) -> None:
        allowed = {
            line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")
        }
        copied = {
            source
            for name, rest in instructions()
            if name == "COPY" and "--from" not in rest
            for source in rest.split()[:-1]
        }
        assert copied == allowed
        assert all((ROOT / source).exists() for source in copied)


class TestKubernetes:
    @pytest.fixture
    def documents(self) -> dict[str, Any]:
        return {found["kind"]: found for found in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}

    @pytest.fixture
    def container(self, documents: dict[str, Any]) -> dict[str, Any]:
        (found,) = documents["Deployment"]["spec"]["template"]["spec"]["containers"]
        return dict(found)

    def test_selects_its_own_pods(self, documents: dict[str, Any]) -> None:
        labels = documents["Deployment"]["spec"]["template"]["metadata"]["labels"]
        assert documents["Deployment"]["spec"]["selector"]["matchLabels"] == labels
        assert documents["Service"]["spec"]["selector"] == labels
        assert documents["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels

    def test_has_few_rights(self, documents: dict[str, Any], container: dict[str, Any]) -> None:
        pod = documents["Deployment"]["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert str(pod["securityContext"]["runAsUser"]) == of_last_stage()["USER"].partition(":")[0]
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]) == {"requests", "limits"}

    def test_probes_routes_that_need_no_key(self, container: dict[str, Any], models: Models) -> None:
        from starlette.testclient import TestClient

        settings = ServeSettings(page=False, keys=("0123456789abcdef",))
        with TestClient(make_app(models, settings)) as client:
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                assert client.get(container[probe]["httpGet"]["path"]).status_code == 200

    def test_gives_requests_their_time(self, documents: dict[str, Any], container: dict[str, Any]) -> None:
        pause = int(container["lifecycle"]["preStop"]["exec"]["command"][-1])
        grace = served_words(container["args"])["grace_seconds"]
        assert documents["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > pause + grace

    def test_names_what_exists(self, documents: dict[str, Any], container: dict[str, Any]) -> None:
        assert container["image"] == f"emotune:{__version__}"
        assert KEYS_VARIABLE in (DEPLOY / "kubernetes.yaml").read_text()
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert str(ports["http"]) == of_last_stage()["EXPOSE"]
        volumes = {found["name"] for found in documents["Deployment"]["spec"]["template"]["spec"]["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes


@pytest.mark.slow
def test_the_wheel_builds_and_holds_the_service(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
        metadata = opened.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    assert "emotune/serve/app.py" in names
    assert re.search(r"^Requires-Dist: fastapi.*extra == 'serve'", metadata, re.MULTILINE)

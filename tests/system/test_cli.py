"""The command line: what is printed, where to, and with which exit status.

Nothing here starts the proxy. SPDX-License-Identifier: MIT
"""
import json
import os
import pty
import re
import shutil
import subprocess

import pytest

from tunnel_process import BINARY, ROOT, clean_environment

COMMANDS = ["run", "status", "explain", "exec", "tail", "replay", "expose", "port-forward", "stop", "reload", "list", "doctor", "rbac", "config", "ca", "dns", "completion", "version", "help"]


@pytest.fixture
def cli(tmp_path):
    """Runs the binary in a home of its own, with no setting from outside."""

    def run(*args, **variables):
        env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], **variables}
        return subprocess.run([BINARY, *args], env=env, capture_output=True, text=True,
                              timeout=10, check=False)

    return run


@pytest.fixture
def user_file(tmp_path):
    path = tmp_path / ".config" / "kube-tunnel" / "config.yaml"
    path.parent.mkdir(parents=True)
    return path


def shown(result):
    """`config show` as {name: (value, origin)}."""
    assert result.returncode == 0, result.stderr
    rows = [re.split(r" {2,}", line) for line in result.stdout.splitlines()]
    return {name: (value, origin) for name, value, origin in rows}


def refused(result, message):
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == f"kube-tunnel: {message}\n"


def test_main_help_fits_a_screen(cli):
    for args in (["--help"], ["-h"], ["help"]):
        result = cli(*args)
        lines = result.stdout.splitlines()
        assert result.returncode == 0 and result.stderr == ""
        assert len(lines) <= 30 and max(map(len, lines)) <= 80
        assert all(f"\n  {command}" in result.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_its_own_help(cli, command):
    result = cli(command, "--help")
    assert result.returncode == 0 and result.stderr == ""
    assert result.stdout.startswith("Usage: kube-tunnel ")
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80 and (len(lines) < 24 or command in ("run", "dns")), "fits a screen of 24 lines"
    assert cli("help", command).stdout == result.stdout


def test_version_as_json_names_the_compiler_and_the_platform(cli):
    done = cli("version", "-o", "json")
    document = json.loads(done.stdout)
    assert done.returncode == 0 and set(document) == {"version", "compiler", "platform"}
    assert cli("version").stdout == f"kube-tunnel {document['version']}\n"
    assert document["platform"].startswith("linux/")


def test_version_is_one_line(cli):
    for args in (["version"], ["--version"], ["-V"]):
        assert re.fullmatch(r"kube-tunnel \d+\.\d+\.\d+\n", cli(*args).stdout)


def test_every_spelling_of_a_flag_is_read(cli):
    for args in (["--port", "8080"], ["--port=8080"], ["-port", "8080"], ["-port=8080"]):
        for line in ([*args, "config", "show", "port"], ["config", "show", *args, "port"]):
            assert shown(cli(*line))["port"] == ("8080", "--port")
    for args in (["-n", "shop"], ["-nshop"], ["-n=shop"], ["--namespace", "shop"]):
        result = cli("config", "show", "namespace", *args)
        assert shown(result)["namespace"] == ("shop", "--namespace")


def test_boolean_flags_take_no_value(cli):
    for flag, value in (("--half-close", "true"), ("--no-half-close", "false"),
                        ("-half-close", "true"), ("--half-close=false", "false"),
                        ("--half-close=no", "false")):
        result = cli("config", "show", "half-close", flag)
        assert shown(result)["half-close"] == (value, "--half-close")


def test_repeated_list_flags_add_up_and_others_replace(cli):
    result = cli("config", "show", "--listen", "127.0.0.1:1", "--listen", "[::1]:2,:3",
                 "--wait", "1s", "--wait", "2s")
    assert shown(result)["listen"] == ("127.0.0.1:1,[::1]:2,3", "--listen")
    assert shown(result)["wait"] == ("2s", "--wait")


@pytest.mark.parametrize("args, message", [
    (["--prot", "80"], "unknown flag --prot; is it --port?"),
    (["-prot", "80"], "unknown flag -prot; is it --port?"),
    (["-namspace", "a"], "unknown flag -namspace; is it --namespace?"),
    (["--idle-timout=5m"], "unknown flag --idle-timout; is it --idle-timeout?"),
    (["--hepl"], "unknown flag --hepl; is it --help?"),
    (["--frobnicate"], "unknown flag --frobnicate"),
    (["-x"], "unknown flag -x"),
    (["--no-context"], "unknown flag --no-context; is it --context?"),
    (["--port"], "--port needs a value"),
    (["-n"], "--namespace needs a value"),
    (["--config"], "--config needs a value"),
    (["--port", "http"], '--port: "http" is not a port number'),
    (["--port", "0"], '--port: "0" is out of range: from 1 to 65535'),
    (["--half-close=maybe"], '--half-close: "maybe" is not true or false'),
    (["--idle-timeout="], "--idle-timeout: a value is missing"),
    (["--expose", ""], "--expose: a value is missing"),
    (["--allow-namespace="], "--allow-namespace: a value is missing"),
    (["lsit"], 'unknown command "lsit"; is it "list"?'),
    (["frobnicate"], 'unknown command "frobnicate"; see kube-tunnel --help'),
    (["help", "lsit"], 'unknown command "lsit"; is it "list"?'),
    (["list", "web"], 'unexpected argument "web"'),
    (["run", "web"], 'unexpected argument "web"'),
    (["version", "web"], 'unexpected argument "web"'),
    (["version", "-o", "yaml"], '--output "yaml": expected json'),
    (["config"], "config: the subcommand is missing (show, check or init)"),
    (["config", "edit"], 'config: unknown subcommand "edit" (show, check or init)'),
    (["config", "show", "prot"], 'no setting is called "prot"; is it "port"?'),
    (["config", "check", "port"], 'unexpected argument "port"'),
    (["--port", "80", "--listen", ":80"],
     "--port: port and listen exclude one another; use listen alone"),
    (["--", "--xyz"], 'unknown command "--xyz"; see kube-tunnel --help'),
])
def test_a_mistake_is_one_line_on_stderr_and_exit_2(cli, args, message):
    refused(cli(*args), message)


def test_the_nearest_source_wins(cli, user_file):
    user_file.write_text("wait: 1s\nidle-check: 1s\nidleTimeout: 1s\n")
    rows = shown(cli("config", "show", "--wait", "3s", KTUN_WAIT="2s", KTUN_IDLE_CHECK="2s"))
    assert rows["wait"] == ("3s", "--wait")
    assert rows["idle-check"] == ("2s", "KTUN_IDLE_CHECK")
    assert rows["idle-timeout"] == ("1s", f"{user_file}:3")
    assert rows["idle-timeout"] == shown(cli("config", "show", "idleTimeout"))["idle-timeout"]
    assert rows["dial-timeout"] == ("10s", "default")


def test_config_file_given_by_flag_or_variable(cli, user_file, tmp_path):
    user_file.write_text("port: 1\n")
    other = tmp_path / "other.yaml"
    other.write_text("wait: 7s\n")
    for result in (cli("config", "show", "--config", str(other)),
                   cli("config", "show", KTUN_CONFIG=str(other))):
        rows = shown(result)
        assert rows["wait"] == ("7s", f"{other}:1")
        assert rows["port"] == ("-", "default")
    refused(cli("config", "check", "--config", "/nowhere.yaml"),
            "/nowhere.yaml: No such file or directory; name another file with --config or KTUN_CONFIG")


def test_the_config_file_of_the_user_follows_xdg_config_home(cli, tmp_path):
    path = tmp_path / "xdg" / "kube-tunnel" / "config.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("port: 81\n")
    result = cli("config", "show", "port", XDG_CONFIG_HOME=str(tmp_path / "xdg"))
    assert shown(result)["port"] == ("81", f"{path}:1")


@pytest.mark.parametrize("text, message", [
    ("port: 80\nidle-timout: 5m\n",
     ':2: no setting is called "idle-timout"; is it "idle-timeout"?'),
    ("port: http\n", ':1: port: "http" is not a port number'),
    ("port: 80\n\nport: 81\n", ":3: port: is already set in line 1"),
    ("listen:\n- 80\n- [81]\n", ":3: listen: expected a list of values"),
    ("port: [\n", None),
])
def test_a_mistake_in_a_config_file_is_named_with_its_line(cli, user_file, text, message):
    user_file.write_text(text)
    for args in (["config", "check"], ["config", "show"], ["list"], ["run"], []):
        result = cli(*args)
        if message:
            refused(result, f"{user_file}{message}")
        else:
            assert result.returncode == 2 and f"{user_file}:" in result.stderr


def test_config_check_names_the_files_it_read(cli, user_file):
    if os.path.exists("/etc/kube-tunnel/config.yaml"):
        pytest.skip("this machine has a configuration of its own")
    assert cli("config", "check").stdout == "ok: there is no configuration file\n"
    user_file.write_text("port: 80\n")
    result = cli("config", "check")
    assert (result.returncode, result.stdout) == (0, f"ok: {user_file}\n")


def test_config_check_refuses_what_run_refuses(cli, user_file):
    user_file.write_text("deny-namespace: shop\nexpose: web.shop:80\n")
    for command in (["config", "check"], ["run"]):
        refused(cli(*command), "expose web.shop:80: namespace shop is closed by deny-namespace or allow-namespace")


@pytest.mark.parametrize("closed", (">&-", "<&-", "2>&-", "<&- >&- 2>&-"))
def test_closed_standard_descriptors_are_no_sockets(cli, tmp_path, closed):
    """What is printed and logged goes nowhere then, and not into a connection."""
    path = tmp_path / "nowhere"
    path.write_text("{current-context: c, clusters: [{name: c, cluster: {server: 'https://127.0.0.1:9'}}],"
                    " users: [{name: u, user: {}}], contexts: [{name: c, context: {cluster: c, user: u}}]}")
    script = f'exec "$0" list --kubeconfig {path} {closed}'
    done = subprocess.run(["sh", "-c", script, BINARY], timeout=20, check=False)
    assert done.returncode == 1


def test_an_unknown_variable_is_a_warning(cli):
    result = cli("config", "check", KTUN_PROT="80")
    assert result.returncode == 0
    assert result.stderr == "kube-tunnel: warning: KTUN_PROT is no setting; is it KTUN_PORT?\n"


def test_output_that_cannot_be_written_is_a_failure(tmp_path):
    with open("/dev/full", "w", encoding="ascii") as full:
        result = subprocess.run([BINARY, "--help"], stdout=full, stderr=subprocess.PIPE,
                                text=True, timeout=10, check=False)
    assert result.returncode == 1 and "cannot write" in result.stderr


def test_output_to_a_closed_descriptor_is_a_failure():
    """Not lost without an error in whatever descriptor 1 is by then."""
    for command in ("version", "--help"):
        done = subprocess.run(["sh", "-c", f'exec "$0" {command} >&-', BINARY], timeout=10,
                              stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 1 and "cannot write" in done.stderr, (command, done)


def on_a_terminal(**variables):
    ours, theirs = pty.openpty()
    env = {"PATH": os.environ["PATH"], "TERM": "xterm", **variables}
    subprocess.run([BINARY, "--help"], stdout=theirs, env=env, timeout=10, check=True)
    os.close(theirs)
    text = os.read(ours, 65536).decode()
    os.close(ours)
    return text


def test_colours_appear_on_terminals_only(cli):
    assert "\033[" in on_a_terminal()
    assert "\033[" not in on_a_terminal(NO_COLOR="1")
    assert "\033[" not in on_a_terminal(TERM="dumb")
    assert "\033[" not in cli("--help").stdout


@pytest.mark.parametrize("page", ["kube-tunnel.1", "kube-tunnel.conf.5"])
def test_manual_pages_are_well_formed(page):
    if not shutil.which("mandoc"):
        pytest.skip("no mandoc")
    result = subprocess.run(["mandoc", "-Tlint", "-W", "warning", str(ROOT / "docs" / page)],
                            capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


def duration_ms(text):
    units = {"ms": 1, "s": 1000, "m": 60000, "h": 3600000}
    return sum(int(n) * units[unit] for n, unit in re.findall(r"(\d+)(ms|s|m|h)", text))


def same(value, documented):
    return value == documented or (documented and duration_ms(value) > 0 and
                                   duration_ms(value) == duration_ms(documented))


def test_the_manual_has_every_setting_and_its_default(cli):
    """docs/kube-tunnel.conf.5 is written by hand: this keeps it true to the table."""
    text = (ROOT / "docs" / "kube-tunnel.conf.5").read_text(encoding="utf-8")
    settings = text.split(".Sh SETTINGS")[1]
    documented = dict(re.findall(r"^\.It Cm (\S+)(?: Ar \S+)?(?: Pq default: (\S+))?$",
                                 settings, re.M))
    rows = shown(cli("config", "show"))
    assert list(documented) == list(rows)
    for name, (value, _) in rows.items():
        assert same("" if value == "-" else value, documented[name]), name


def test_help_of_run_has_every_setting(cli):
    text = cli("run", "--help").stdout
    for name in shown(cli("config", "show")):
        assert re.search(rf"^  (-n, )?--{name}\b", text, re.M), name


def test_config_show_diff_prints_what_differs_from_the_defaults():
    done = subprocess.run([BINARY, "config", "show", "--diff", "--wait", "3s", "--upstream", "tunnel"], text=True,
                          capture_output=True, env=clean_environment(HOME="/nowhere", KTUN_PORT="99"), timeout=20)
    rows = [re.sub(r" +", " ", line) for line in done.stdout.splitlines()]
    assert rows == ["port - -> 99 KTUN_PORT reload", "wait 10s -> 3s --wait reload",
                    "upstream auto -> tunnel --upstream restart"] and done.returncode == 0
    done = subprocess.run([BINARY, "config", "check", "--diff"], text=True, capture_output=True, timeout=20)
    assert done.returncode == 2 and "--diff" in done.stderr


def init(home, *flags):
    return subprocess.run([BINARY, "config", "init", *map(str, flags)], text=True, capture_output=True, timeout=20,
                          env=clean_environment(HOME=str(home)), umask=0o022)


def test_config_init_writes_every_setting_with_its_default_and_never_overwrites(tmp_path):
    done = init(tmp_path)
    path = tmp_path / ".config" / "kube-tunnel" / "config.yaml"
    assert done.stdout == f"wrote {path}\n" and done.returncode == 0
    assert path.stat().st_mode & 0o777 == 0o644 and path.parent.stat().st_mode & 0o777 == 0o700
    text = path.read_text()
    again = init(tmp_path)
    assert again.returncode == 1 and f"{path} exists, and was not changed" in again.stderr
    assert path.read_text() == text
    # every line without its "# " is a valid file that changes nothing
    path.write_text("".join(line[2:] for line in text.splitlines(True) if re.match(r"# [a-z0-9-]+: \S+$", line)))
    table = (ROOT / "src" / "config" / "settings.h").read_text()
    assert len(path.read_text().splitlines()) == len(re.findall(r'X\([A-Z_]+, \w+, "[a-z0-9-]+"', table))
    done = subprocess.run([BINARY, "config", "show", "--diff", "--config", path], text=True, capture_output=True,
                          env=clean_environment(HOME=str(tmp_path)), timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_config_init_follows_no_symlink_and_names_what_it_cannot_write(tmp_path):
    target = tmp_path / "precious"
    link = tmp_path / "link"
    link.symlink_to(target)
    assert init(tmp_path, "--config", link).returncode == 1 and not target.exists()
    done = init(tmp_path, "--config", "/proc/nowhere/config.yaml")
    assert done.returncode == 1 and "/proc/nowhere/config.yaml" in done.stderr


def test_config_init_on_a_full_disk_leaves_no_file(tmp_path):
    done = init(tmp_path, "--config", "/dev/full")
    assert done.returncode == 1
    limited = subprocess.run(["sh", "-c", 'ulimit -f 2; trap "" XFSZ; exec "$@"', "sh", BINARY, "config", "init",
                              "--config", tmp_path / "c"], text=True, capture_output=True, timeout=20)
    assert limited.returncode == 1 and "File too large" in limited.stderr and not (tmp_path / "c").exists()

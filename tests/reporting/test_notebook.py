"""What a notebook shows: in a real kernel, while a run goes on and when it is over."""

import subprocess
import sys
import textwrap

import pytest

from tests.patience import PATIENCE

jupyter_client = pytest.importorskip("jupyter_client")
pytest.importorskip("ipykernel")

SETUP = """
import contextlib
from tests.trace.parts import receiver
from conformance import check_receiver
from conformance.receiver.behaviour import ReceiverBehaviour

stack = contextlib.AsyncExitStack()
there = await stack.enter_async_context(receiver(ReceiverBehaviour(authenticate=lambda *_: None)))
rules = ["receiver.accepts.documented-type", "receiver.signature.wrong-secret"]
"""
RUN = "report = await check_receiver(**there, rules=rules)"


class Notebook:
    """Cells, run one after the other in one kernel."""

    def __init__(self, client):
        self._client = client

    def run(self, code):
        """What a cell shows: the messages that it sends, in their order."""
        shown = []
        reply = self._client.execute_interactive(
            textwrap.dedent(code), timeout=PATIENCE, output_hook=shown.append
        )
        assert reply["content"]["status"] == "ok", reply["content"]
        return shown


@pytest.fixture(scope="module")
def notebook():
    manager, client = jupyter_client.manager.start_new_kernel(kernel_name="python3")
    try:
        made = Notebook(client)
        made.run(SETUP)
        yield made
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def kinds(shown, kind):
    return [each["content"]["data"] for each in shown if each["msg_type"] == kind]


def test_a_run_shows_its_progress_in_one_place(notebook):
    shown = notebook.run(RUN)
    (begun,) = kinds(shown, "display_data")
    updates = kinds(shown, "update_display_data")
    places = {
        each["content"]["transient"]["display_id"]
        for each in shown
        if each["msg_type"] in ("display_data", "update_display_data")
    }
    assert len(places) == 1
    assert begun["text/plain"] == "judging 0/11"
    assert "<progress" in begun["text/html"]
    assert updates[-1]["text/plain"] == "judged 11/11: 8 pass, 3 fail"
    assert "<progress" not in updates[-1]["text/html"]
    assert kinds(shown, "stream") == []


def test_the_results_of_a_run_have_notebook_displays(notebook):
    notebook.run(RUN)
    (report,) = kinds(notebook.run("report"), "execute_result")
    assert "receiver.signature.wrong-secret" in report["text/html"]
    (result,) = kinds(notebook.run("report.failures[0]"), "execute_result")
    for told in ("answered 200", "why", "fix", "curl", "X-Webhook-Signature: "):
        assert told in result["text/html"]
    (exchange,) = kinds(notebook.run("report.trace[1]"), "execute_result")
    assert "POST http://127.0.0.1" in exchange["text/html"]
    (trace,) = kinds(notebook.run("report.trace"), "execute_result")
    assert "Trace of" in trace["text/html"]


def test_a_trace_shows_itself_where_nothing_else_was_imported():
    manager, client = jupyter_client.manager.start_new_kernel(kernel_name="python3")
    try:
        cells = Notebook(client)
        cells.run("from conformance.trace import Trace")
        (trace,) = kinds(cells.run("Trace()"), "execute_result")
        (stored,) = kinds(cells.run("Trace().stored()"), "execute_result")
        assert "Trace of 0 exchanges" in trace["text/html"]
        assert trace["text/html"] == stored["text/html"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_a_result_speaks_the_language_of_its_report(notebook):
    notebook.run("report = await check_receiver(**there, rules=rules, language='zh-Hant')")
    (result,) = kinds(notebook.run("report.failures[0]"), "execute_result")
    assert "響應 200" in result["text/html"]


def test_a_run_that_breaks_off_leaves_no_bar_behind(notebook):
    shown = notebook.run(
        """
        import asyncio
        try:
            async with asyncio.timeout(0.001):
                await check_receiver(**there, rules=rules)
        except TimeoutError:
            pass
        """
    )
    assert "<progress" not in kinds(shown, "update_display_data")[-1]["text/html"]


def test_a_script_in_a_notebook_shows_its_progress_too(notebook):
    """The report is waited for on another loop, while the cell's own stands still."""
    shown = notebook.run(
        """
        from conformance import check_receiver_sync
        report = check_receiver_sync("http://127.0.0.1:9/", secret="s3cret-s3cret", rules=rules)
        """
    )
    assert kinds(shown, "stream") == []
    (shown_report,) = kinds(notebook.run("report"), "execute_result")
    assert "could not be judged" in shown_report["text/html"]


def test_a_plain_script_shows_nothing():
    code = """
    from conformance import check_receiver_sync
    check_receiver_sync("http://127.0.0.1:9/", secret="s3cret-s3cret", rules="receiver.http.*")
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert ran.stdout == ran.stderr == ""

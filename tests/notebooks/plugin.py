"""Makes nbval strict about what it lets pass: a magic's UsageError is a failure of its cell."""

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Fail a notebook's cell whose stderr starts with UsageError, which IPython only prints."""
    result = yield
    for output in getattr(item, "test_outputs", None) or ():
        if output.get("name") == "stderr" and output.get("text", "").startswith("UsageError"):
            pytest.fail(f"the cell printed {output['text'].strip()}", pytrace=False)
    return result

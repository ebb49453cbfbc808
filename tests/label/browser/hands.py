"""What a labeler's hands do on the screens, and what is looked for on every page, for the tests."""

from typing import Any


def opened(page: Any, fake: Any, slot: str) -> None:
    page.goto(f"{fake.url}/task/{slot}")
    page.wait_for_selector("body[data-ready]")


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def rated(page: Any, *overall: int) -> None:
    """Say that nothing applies to the prompt, rate the outputs in order, no flags; then go on to ranking."""
    press(page, "n")
    for value in overall:
        press(page, "j", str(value), "n")
    press(page, "g", *("k" for _ in overall))
    # the prompt is above the first output while ranking too
    press(page, "j")


def answered(page: Any, fake: Any, count: int = 1) -> dict[str, Any]:
    """The newest answer, once there are `count`."""
    for _ in range(200):
        if len(fake.answers) >= count:
            break
        page.wait_for_timeout(20)
    assert len(fake.answers) == count
    return fake.answers[-1]


def ranks(answer: dict[str, Any], task: dict[str, Any]) -> list[int]:
    """The ranks that were handed in, in the order in which the outputs are shown."""
    return [answer["document"]["ranks"][response["key"]] for response in task["responses"]]


def serious(page: Any) -> list[str]:
    """What axe calls serious or critical on the page as it stands."""
    from axe_playwright_python.sync_playwright import Axe

    # colours that are still on their way to others are nobody's fault
    page.evaluate("() => Promise.allSettled(document.getAnimations().map((one) => one.finished))")
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:120]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]

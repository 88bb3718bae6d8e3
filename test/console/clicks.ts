import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Page } from "playwright-core";

const KEY = "test.clicks";

/** What a person has pressed on a page since {@link countClicks}. */
export interface Clicks {
  /** Fails after more presses. @param task for the message, such as "what must I do now" */
  atMost(limit: number, task: string): Promise<void>;
}

/**
 * Counts presses of mouse, finger or pen on a page, also after it loads again. Keys are not counted:
 * a task that is done by the pointer only is done with them too.
 */
export async function countClicks(t: TestContext, page: Page): Promise<Clicks> {
  // On the document: presses that Playwright stops at the window and repeats do not get here.
  const listen = (key: string) =>
    document.addEventListener(
      "pointerdown",
      () => sessionStorage.setItem(key, String(Number(sessionStorage.getItem(key)) + 1)),
      true,
    );
  await page.addInitScript(listen, KEY);
  await page.evaluate(listen, KEY);
  const read = () => page.evaluate((key) => Number(sessionStorage.getItem(key)), KEY);
  return {
    async atMost(limit, task) {
      const count = await read();
      t.diagnostic(`${task}: ${count} of at most ${limit} clicks at ${page.viewportSize()?.width} px`);
      assert.ok(count <= limit, `${task} takes ${count} clicks instead of ${limit}`);
    },
  };
}

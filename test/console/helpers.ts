import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import axeCore from "axe-core";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { type BrowserNeeds, openContext, settled, startBrowser } from "../helpers/browser.ts";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { type PrismOptions, startPrism, type TestPrism } from "../helpers/prism.ts";

export const PASSWORD = "correct horse battery staple";

export interface OpenOptions {
  /** A username of {@link ConsoleTest.person}; default: the administrator. null: not signed in. */
  readonly as?: string | null;
  readonly width?: number;
  readonly theme?: "light" | "dark";
}

/** A server, a browser, and its pages, which note every error. */
export class ConsoleTest {
  readonly prism: TestPrism;
  readonly browser: Browser;
  readonly #contexts = new Map<string, BrowserContext>();
  /** Errors of scripts, the console and the network, and requests to other hosts. */
  readonly problems: string[] = [];
  /** Problems that the test causes, such as the 401 of a wrong password. */
  readonly expected: RegExp[] = [];

  constructor(prism: TestPrism, browser: Browser) {
    this.prism = prism;
    this.browser = browser;
  }

  /** A user who can sign in with {@link PASSWORD}. @returns the id and an access token */
  async person(username: string, roles: readonly string[] = []): Promise<{ id: string; token: string }> {
    const user = await makeUser(this.prism, username, roles);
    const { base, offers } = this.prism.parts;
    const passwordHash = await offers.accounts.passwords.hash(PASSWORD);
    await base.database.write((trx) =>
      trx.updateTable("users").set({ passwordHash, name: username }).where("id", "=", user.id).execute(),
    );
    return user;
  }

  /** Opens a page of the console. @param path below /dashboard, such as `/rules` */
  async open(path: string, { as = "admin", width = 1280, theme = "light" }: OpenOptions = {}): Promise<Page> {
    const context = await this.#context(`${as} ${width} ${theme}`, { as, width, theme });
    const page = await context.newPage();
    this.#watch(page);
    await page.goto(`${this.prism.url}/dashboard${path}`);
    return page;
  }

  async #context(key: string, { as, width, theme }: Required<OpenOptions>): Promise<BrowserContext> {
    const known = this.#contexts.get(key);
    if (known) return known;
    const context = await openContext(this.browser, { viewport: { width, height: 900 }, colorScheme: theme });
    this.#contexts.set(key, context);
    if (as === null) return context;
    const login = await context.request.post(`${this.prism.url}/api/v1/auth/login`, {
      data: { login: as, password: PASSWORD },
    });
    assert.equal(login.status(), 200, `${as} signs in`);
    // A page resumes a session that this browser has had.
    await context.addInitScript(() => {
      if (localStorage.getItem("prism.me") === null) localStorage.setItem("prism.me", "{}");
    });
    return context;
  }

  /** Requests under way by page. */
  readonly #pending = new WeakMap<Page, Set<object>>();

  /**
   * Goes to a page inside the application, as a link does, and waits until its data is shown.
   * @param path below /dashboard
   */
  async visit(page: Page, path: string): Promise<void> {
    await page.evaluate((url) => {
      history.pushState(null, "", url);
      dispatchEvent(new PopStateEvent("popstate"));
    }, `/dashboard${path}`);
    await this.shown(page);
  }

  /** Waits until the page has a heading, and no request or placeholder is left. */
  async shown(page: Page): Promise<void> {
    await page.waitForFunction(
      () => document.querySelector("h1") !== null && !document.documentElement.hasAttribute("data-loading"),
    );
    await eventually(`the data of ${page.url()}`, async () => {
      if ((this.#pending.get(page)?.size ?? 0) > 0) return false;
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0))));
      // A script that has arrived but not run yet leaves the page before in place.
      const waits = page.locator(".skeleton, html[data-loading]");
      return this.#pending.get(page)?.size === 0 && (await waits.count()) === 0;
    });
  }

  #watch(page: Page): void {
    const pending = new Set<object>();
    this.#pending.set(page, pending);
    page.on("request", (request) => pending.add(request));
    page.on("requestfinished", (request) => pending.delete(request));
    page.on("requestfailed", (request) => pending.delete(request));
    const note = (text: string) => this.problems.push(`${page.url()}: ${text}`);
    page.on("pageerror", (error) => note(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning")
        note(`${message.text()} ${message.location().url}`);
    });
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (/^(https?|wss?):$/.test(url.protocol) && url.host !== new URL(this.prism.url).host) note(`to ${url}`);
    });
  }

  /** Fails if any page had a problem that was not {@link expected}. */
  assertClean(): void {
    const unexpected = this.problems.filter((text) => !this.expected.some((pattern) => pattern.test(text)));
    assert.deepEqual(unexpected, []);
  }
}

/**
 * A server with the administrator `admin` and a browser. @returns undefined where no browser is
 * installed, which the test's output says
 */
export async function startConsole(
  t: TestContext,
  { isWhole = false, ...options }: PrismOptions & BrowserNeeds = {},
): Promise<ConsoleTest | undefined> {
  const browser = await startBrowser(t, { isWhole });
  if (!browser) return undefined;
  const prism = await startPrism(t, {
    ...options,
    settings: { "rateLimit.enabled": "false", "webhooks.allowPrivateCidrs": "127.0.0.0/8", ...options.settings },
  });
  const console = new ConsoleTest(prism, browser);
  await console.person("admin", ["Admin"]);
  return console;
}

/**
 * Fails if the page is wider than its window, or axe finds a serious or critical problem.
 * @param rules of axe that are off otherwise, such as target-size
 */
export async function assertAccessible(page: Page, name: string, rules: readonly string[] = []): Promise<void> {
  await settled(page);
  const excess = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(excess <= 0, `${name} is ${excess} px too wide`);
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axeCore.source);
  const found = await page.evaluate(async (enabled) => {
    interface Violation {
      readonly id: string;
      readonly impact: string | null;
      readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
    }
    const { axe } = window as unknown as {
      axe: { run(options: object): Promise<{ violations: readonly Violation[] }> };
    };
    const added = Object.fromEntries(enabled.map((id) => [id, { enabled: true }]));
    const { violations } = await axe.run({ resultTypes: ["violations"], rules: added });
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, nodes }) => `${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`);
  }, rules);
  assert.deepEqual(found, [], name);
}

/** In place of the browser's push service: what `subscribe()` returns, and whether it was ended. */
export async function standInForPush(context: BrowserContext, subscription: object): Promise<void> {
  await context.addInitScript((json) => {
    const made = {
      toJSON: () => json,
      unsubscribe: async () => {
        localStorage.removeItem("test.push");
        return true;
      },
    } as unknown as PushSubscription;
    PushManager.prototype.subscribe = async (options) => {
      document.documentElement.dataset["key"] = String(options?.applicationServerKey);
      localStorage.setItem("test.push", "subscribed");
      return made;
    };
    PushManager.prototype.getSubscription = async () => (localStorage.getItem("test.push") ? made : null);
  }, subscription);
}

/** Gives a page's browser an authenticator of its own. @param verifies whether it knows its user by finger or PIN */
export async function addAuthenticator(page: Page, verifies: boolean) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      ...({ protocol: "ctap2", transport: "internal", hasResidentKey: true } as const),
      ...{ hasUserVerification: verifies, isUserVerified: verifies, automaticPresenceSimulation: true },
    },
  });
  return { cdp, authenticatorId };
}

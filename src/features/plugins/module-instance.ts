import { AsyncLocalStorage } from "node:async_hooks";
import { currentCaller, runAs } from "../../core/caller.ts";
import type { Clock } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { within } from "../../core/promises.ts";
import type { Route } from "../../http/route.ts";
import type { AppModule, CoreServices } from "../../module/module-api.ts";
import { failureText, ModuleFailure, withinLimit } from "./module-failure.ts";
import { moduleServer, type RouteCaps, type RouteParts } from "./module-routes.ts";
import type { Watchdog } from "./watchdog.ts";

const REGISTER_LIMIT_MS = 10_000;
const DISPOSE_LIMIT_MS = 5000;
const RELOAD_RETRY_MS = 1000;

/** Thrown by a service to the code of an instance that has ended. The log has named it already. */
export class InstanceEnded extends PrismError {
  constructor(module: string, call: string) {
    super("MODULE_UNAVAILABLE", `This instance of the module ${module} has ended; it may not call ${call}`);
  }
}

/** Answers requests to routes of a module that is not active. */
export function unavailable(name: string, retryAfterMs = 5000): PrismError {
  return new PrismError("MODULE_UNAVAILABLE", `The module ${name} is not active`, { retryAfterMs });
}

/** A path or method that is taken. */
export function conflict(what: string): ModuleFailure {
  return new ModuleFailure(`MODULE_ROUTE_CONFLICT: ${what}`);
}

/**
 * Whose code is running. It follows a module's calls through everything they start, also what they
 * do not wait for, so that an uncaught error has an owner. Nothing is watched until the first
 * module is loaded: Node's asynchronous hooks cost every callback of the process something.
 */
export class ModuleScope {
  readonly #storage = new AsyncLocalStorage<string>();
  readonly #watchdog: Watchdog;

  constructor(watchdog: Watchdog) {
    this.#watchdog = watchdog;
  }

  /** The module whose code this is, or whose code has led here. */
  get current(): string | undefined {
    return this.#storage.getStore();
  }

  /** Runs a module's code, on behalf of the current caller, through the module. */
  run<T>(name: string, fn: () => T): T {
    return this.#storage.run(name, () =>
      runAs({ ...currentCaller(), module: name }, () => this.#watchdog.within(name, fn)),
    );
  }

  /**
   * Runs the program's own code for a module: what that starts for itself is not the module's. The
   * promise is the module's: if it is rejected and not awaited, that is the module's fault.
   */
  async leave<T>(fn: () => Promise<T>): Promise<T> {
    return await this.#storage.exit(fn);
  }
}

export interface InstanceParts {
  readonly scope: ModuleScope;
  readonly clock: Clock;
  readonly log: Logger;
  readonly caps: RouteCaps;
  readonly hold: RouteParts["hold"];
  /** @throws ModuleFailure when the path is taken. */
  assertRoutesFree(path: string): void;
  /** The services of this instance. */
  services(instance: ModuleInstance): CoreServices;
}

/**
 * One registration of a module: `registering` → `active` → `ended` → `closed`. What it added is
 * undone at its end and its routes answer 503; what still runs goes on, with all services, and
 * {@link idle} waits for that. Once it is closed its services refuse every call.
 */
export class ModuleInstance {
  readonly module: AppModule;
  readonly routes: Route[] = [];
  readonly #parts: InstanceParts;
  readonly #undo = new Set<() => unknown>();
  #state: "registering" | "active" | "ended" | "closed" = "registering";
  #hasCalledLate = false;
  #running = 0;
  #whenIdle: (() => void)[] = [];

  constructor(module: AppModule, parts: InstanceParts) {
    this.module = module;
    this.#parts = parts;
  }

  get name(): string {
    return this.module.name;
  }

  /** While `register` runs: the next registration repeats what is made now. */
  get isRegistering(): boolean {
    return this.#state === "registering";
  }

  /**
   * Has the module add its routes and handlers. @throws what it throws, or ModuleFailure; nothing
   * of it remains then
   */
  async register(): Promise<void> {
    const { module } = this;
    const { scope, clock, caps, hold } = this.#parts;
    const server = moduleServer({
      module: module.name,
      clock,
      caps,
      hold,
      add: (route) => this.#addRoute(route),
      enter: (work) => this.within(work),
      call: (code) => this.call(code),
    });
    try {
      const registering = scope.run(module.name, async () => module.register(server, this.#parts.services(this)));
      await withinLimit(registering, REGISTER_LIMIT_MS, "register");
      this.#state = "active";
    } catch (error) {
      await this.end();
      this.close();
      throw error;
    }
  }

  /** Runs something of the module's; it counts as under way until it has ended. */
  async within<T>(work: () => Promise<T> | T): Promise<T> {
    this.#running++;
    try {
      return await this.#parts.scope.run(this.name, work);
    } finally {
      this.#running--;
      if (this.#running === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
    }
  }

  /** Runs the module's code. */
  call<T>(code: () => T): T {
    return this.#parts.scope.run(this.name, code);
  }

  /** Runs the program's code for the module. */
  outside<T>(work: () => Promise<T>): Promise<T> {
    return this.#parts.scope.leave(work);
  }

  /**
   * `undo` is called when this instance ends. @returns what calls it at once. @throws ModuleFailure
   * when this instance has ended
   */
  added(undo: () => unknown): () => void {
    this.requireAlive();
    this.#undo.add(undo);
    return () => {
      if (this.#undo.delete(undo)) undo();
    };
  }

  /** @throws ModuleFailure for the code of an instance that has ended. */
  requireAlive(): void {
    if (this.#hasEnded()) throw new ModuleFailure(`${this.name} has ended; this is code of an earlier life of it`);
  }

  /** Takes away what it has added. What runs goes on. */
  async end(): Promise<void> {
    this.#state = "ended";
    const undo = [...this.#undo].reverse();
    this.#undo.clear();
    await Promise.all(undo.map((each) => each()));
  }

  /**
   * From now on the services refuse what code of this instance still calls: a timer it has not
   * cleared, a handler that took too long.
   */
  close(): void {
    this.#state = "closed";
  }

  /**
   * @param call the method of a service, such as `kv.set`; the first refused one is logged. @throws
   * InstanceEnded
   */
  requireOpen(call: string): void {
    if (this.#state !== "closed") return;
    const { name, version } = this.module;
    if (!this.#hasCalledLate)
      this.#parts.log.warn(
        { module: name, version, call },
        "an ended instance of a module still calls services; they refuse. Its dispose() must clear timers and sockets",
      );
    this.#hasCalledLate = true;
    throw new InstanceEnded(name, call);
  }

  /**
   * Resolves when nothing of the module's runs any more, or after so long. @returns whether nothing
   * does.
   */
  async idle(limitMs: number): Promise<boolean> {
    if (this.#running === 0) return true;
    await within(limitMs, new Promise<void>((resolve) => this.#whenIdle.push(resolve)));
    return this.#running === 0;
  }

  /** Lets the module give back what it took. @returns why it could not. */
  async dispose(): Promise<string | null> {
    const { module } = this;
    if (!module.dispose) return null;
    try {
      const disposing = this.call(async () => module.dispose?.());
      await withinLimit(disposing, DISPOSE_LIMIT_MS, "dispose");
      return null;
    } catch (error) {
      return failureText(error);
    }
  }

  #hasEnded(): boolean {
    return this.#state === "ended" || this.#state === "closed";
  }

  #addRoute(route: Route): void {
    if (this.#state !== "registering") throw new ModuleFailure("routes are added while register runs, not later");
    for (const path of pathsOf(route)) {
      this.#parts.assertRoutesFree(path);
      const isTwice = this.routes.some((each) => each.method === route.method && pathsOf(each).includes(path));
      if (isTwice) throw conflict(`${route.method} ${path} is added twice`);
    }
    this.routes.push({
      ...route,
      module: this.name,
      handle: (exchange, input) => {
        if (this.#hasEnded()) throw unavailable(this.name, RELOAD_RETRY_MS);
        return route.handle(exchange, input);
      },
    });
  }
}

/** The path of a route, and its aliases. */
export function pathsOf({ path, aliases = [] }: Pick<Route, "path" | "aliases">): readonly string[] {
  return [path, ...aliases];
}

import { AsyncLocalStorage } from "node:async_hooks";
import { currentCaller, runAs } from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { within } from "../../core/promises.ts";
import type { Clock } from "../../core/time/clock.ts";
import type { Route } from "../../http/api/route.ts";
import type { AppModule, CoreServices, ModuleChannel } from "../../module/module-api.ts";
import { failureText, ModuleFailure, withinLimit } from "./module-failure.ts";
import { moduleServer, type RouteCaps, type RouteParts } from "./module-routes.ts";
import type { Watchdog } from "./watchdog.ts";

const REGISTER_LIMIT_MS = 10_000;
const DISPOSE_LIMIT_MS = 5000;
const RELOAD_RETRY_MS = 1000;

/** Thrown by a service to code of a stopped instance. The log has already named it. */
export class InstanceEnded extends PrismError {
  override readonly name = "InstanceEnded";
  constructor(module: string, call: string) {
    super("MODULE_UNAVAILABLE", `This instance of the module ${module} has ended; it may not call ${call}`);
  }
}

/** The answer to requests to routes of an inactive module. */
export function unavailable(name: string, retryAfterMs = 5000): PrismError {
  return new PrismError("MODULE_UNAVAILABLE", `The module ${name} is not active`, { retryAfterMs });
}

/** A path or method is taken. */
export function conflict(what: string): ModuleFailure {
  return new ModuleFailure(`MODULE_ROUTE_CONFLICT: ${what}`);
}

/**
 * Tracks whose code is running. It follows a module's calls through everything they start, even
 * without waiting for it, so that an uncaught error has an owner. Tracking starts with the first
 * loaded module, because Node's asynchronous hooks slow every callback.
 */
export class ModuleScope {
  readonly #storage = new AsyncLocalStorage<string>();
  readonly #watchdog: Watchdog;

  constructor(watchdog: Watchdog) {
    this.#watchdog = watchdog;
  }

  /** The module whose code is running or has led here. */
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
   * Runs Prism's code for a module, which then does not own what that code starts. It owns the
   * promise: an unhandled rejection is the module's.
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
  /** Adds a service of channels. @returns its removal */
  addChannel(channel: ModuleChannel): () => void;
  /** @throws ModuleFailure when the path is taken. */
  assertRoutesFree(path: string): void;
  services(instance: ModuleInstance): CoreServices;
}

/**
 * One registration of a module: `registering` → `active` → `ended` → `closed`. Ending it undoes its
 * additions, and its routes answer 503; running work continues with all services, and {@link idle}
 * waits for it. A closed instance's services refuse every call.
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

  /** While `register` runs: the next registration repeats what is created now. */
  get isRegistering(): boolean {
    return this.#state === "registering";
  }

  /**
   * Registers the module's routes and handlers. @throws errors of the module, or ModuleFailure; its
   * additions are undone then
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
      addChannel: (channel) => this.#addChannel(channel),
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

  /** Runs work of the module and counts it until it ends. */
  async within<T>(work: () => Promise<T> | T): Promise<T> {
    this.#running++;
    try {
      return await this.#parts.scope.run(this.name, work);
    } finally {
      this.#running--;
      if (this.#running === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
    }
  }

  call<T>(code: () => T): T {
    return this.#parts.scope.run(this.name, code);
  }

  /** Runs Prism's code for the module. */
  outside<T>(work: () => Promise<T>): Promise<T> {
    return this.#parts.scope.leave(work);
  }

  /**
   * Registers an undo function for the end of this instance. @returns a function that runs it at
   * once. @throws ModuleFailure when this instance has ended
   */
  added(undo: () => unknown): () => void {
    this.requireAlive();
    this.#undo.add(undo);
    return () => {
      if (this.#undo.delete(undo)) undo();
    };
  }

  /** @throws ModuleFailure for code of a stopped instance. */
  requireAlive(): void {
    if (this.#hasEnded()) throw new ModuleFailure(`${this.name} has ended; this code belongs to an earlier instance`);
  }

  /** Undoes its additions. Running work continues. */
  async end(): Promise<void> {
    this.#state = "ended";
    const undo = [...this.#undo].reverse();
    this.#undo.clear();
    await Promise.all(undo.map((each) => each()));
  }

  /** From now on the services refuse calls of remaining code: a timer, a slow handler. */
  close(): void {
    this.#state = "closed";
  }

  /** @param call a method, such as `kv.set`; the first refusal is logged. @throws InstanceEnded */
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

  /** Resolves when the module's work ends, or after the limit. @returns whether it has ended */
  async idle(limitMs: number): Promise<boolean> {
    if (this.#running === 0) return true;
    await within(limitMs, new Promise<void>((resolve) => this.#whenIdle.push(resolve)));
    return this.#running === 0;
  }

  /** Calls the module's dispose. @returns the error message, if it fails. */
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

  #addChannel(channel: ModuleChannel): void {
    if (this.#state !== "registering") throw new ModuleFailure("channels are added while register runs, not later");
    const send: ModuleChannel["send"] = (...given) => this.within(() => channel.send(...given));
    this.added(this.#parts.addChannel({ ...channel, send }));
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

/** The path of a route and its aliases. */
export function pathsOf({ path, aliases = [] }: Pick<Route, "path" | "aliases">): readonly string[] {
  return [path, ...aliases];
}

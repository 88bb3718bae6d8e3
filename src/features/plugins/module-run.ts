import { PrismError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { within } from "../../core/within.ts";
import type { Exchange } from "../../http/exchange.ts";
import type { Route } from "../../http/route.ts";
import type { AppModule, CoreServices } from "../../module/module-api.ts";
import { InstanceEnded } from "./ended-services.ts";
import { failureText, ModuleFailure, withinLimit } from "./module-failure.ts";
import { moduleServer, type RouteParts } from "./module-routes.ts";
import type { ModuleScope } from "./module-scope.ts";

const REGISTER_LIMIT_MS = 10_000;
const DISPOSE_LIMIT_MS = 5000;

export interface RunParts extends Pick<RouteParts, "clock" | "caps" | "hold"> {
  readonly module: AppModule;
  readonly scope: ModuleScope;
  readonly log: Logger;
  readonly registerLimitMs?: number | undefined;
  /** @throws ModuleFailure when the path is another's. */
  requireFree(path: string): void;
  /** Whether a request is to wait, because the module is being replaced; then it goes on with what answers it now. */
  held(exchange: Exchange, body: unknown): Promise<unknown> | null;
  /** The services of this run. */
  services(run: ModuleRun): CoreServices;
}

/**
 * One life of a module: `registering` → `active` → `ended` → `closed`. Whatever it adds is undone at its end; what still runs then goes on, with
 * all services, and {@link idle} waits for that. Once it is closed its services refuse every call.
 */
export class ModuleRun {
  readonly module: AppModule;
  readonly routes: Route[] = [];
  readonly #parts: RunParts;
  readonly #undo = new Set<() => unknown>();
  #state: "registering" | "active" | "ended" | "closed" = "registering";
  #hasCalledLate = false;
  #running = 0;
  #whenIdle: (() => void)[] = [];

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.module = parts.module;
  }

  get name(): string {
    return this.module.name;
  }

  get isEnded(): boolean {
    return this.#state === "ended" || this.#state === "closed";
  }

  /** While `register` runs: what is made then is made anew by the next life. */
  get isRegistering(): boolean {
    return this.#state === "registering";
  }

  /** Has the module add its routes and handlers. @throws what it throws, or ModuleFailure; nothing of it remains then */
  async register(): Promise<void> {
    const { module, scope, clock, caps, registerLimitMs = REGISTER_LIMIT_MS } = this.#parts;
    const server = moduleServer({
      module: module.name,
      clock,
      caps,
      hold: (exchange, bytes) => this.#parts.hold(exchange, bytes),
      add: (route) => this.#addRoute(route),
      enter: (work) => this.within(work),
      call: (code) => this.call(code),
    });
    try {
      const registering = scope.run(module.name, async () => module.register(server, this.#parts.services(this)));
      await withinLimit(registering, registerLimitMs, "register");
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

  /** `undo` is called when this life ends. @returns what calls it at once. @throws ModuleFailure when this life has ended */
  added(undo: () => unknown): () => void {
    this.requireLife();
    this.#undo.add(undo);
    return () => {
      if (this.#undo.delete(undo)) undo();
    };
  }

  /** @throws ModuleFailure for the code of a module that is there no more. */
  requireLife(): void {
    if (this.isEnded) throw new ModuleFailure(`${this.name} has ended; this is code of an earlier life of it`);
  }

  /** Its queue is served from its registration's end on, whatever it handles. */
  handles(): void {
    this.requireLife();
  }

  /** Takes away what it has added. What runs goes on. */
  async end(): Promise<void> {
    this.#state = "ended";
    const undo = [...this.#undo].reverse();
    this.#undo.clear();
    await Promise.all(undo.map((each) => each()));
  }

  /** From now on the services refuse what code of this instance still calls: a timer it has not cleared, a handler that took too long. */
  close(): void {
    this.#state = "closed";
  }

  /** @param call the method of a service, such as `kv.set`; the first refused one is logged. @throws InstanceEnded */
  requireInstance(call: string): void {
    if (this.#state !== "closed") return;
    const { log, module } = this.#parts;
    if (!this.#hasCalledLate)
      log.warn(
        { module: module.name, version: module.version, call },
        "an ended instance of a module still calls services; they refuse. Its dispose() must clear timers and sockets",
      );
    this.#hasCalledLate = true;
    throw new InstanceEnded(module.name, call);
  }

  /** Resolves when nothing of the module's runs any more, or after so long. @returns whether nothing does. */
  async idle(limitMs: number): Promise<boolean> {
    if (this.#running === 0) return true;
    await within(limitMs, new Promise<void>((resolve) => this.#whenIdle.push(resolve)));
    return this.#running === 0;
  }

  /** Lets the module give back what it took. @returns why it could not. */
  async dispose(): Promise<string | null> {
    const { module, scope } = this.#parts;
    if (!module.dispose) return null;
    try {
      const disposing = scope.run(this.name, async () => module.dispose?.());
      await withinLimit(disposing, DISPOSE_LIMIT_MS, "dispose");
      return null;
    } catch (error) {
      return failureText(error);
    }
  }

  #addRoute(route: Route): void {
    if (this.#state !== "registering") throw new ModuleFailure("routes are added while register runs, not later");
    for (const path of [route.path, ...(route.aliases ?? [])]) {
      this.#parts.requireFree(path);
      const isTwice = this.routes.some(
        (each) => each.method === route.method && [each.path, ...(each.aliases ?? [])].includes(path),
      );
      if (isTwice) throw conflict(`${route.method} ${path} is added twice`);
    }
    this.routes.push({
      ...route,
      module: this.name,
      handle: (exchange, input) => this.#parts.held(exchange, input.body) ?? route.handle(exchange, input),
    });
  }
}

/** A path or method that somebody has already. */
export function conflict(what: string): ModuleFailure {
  return new ModuleFailure(`MODULE_ROUTE_CONFLICT: ${what}`);
}

/** What routes of a module answer that is not there. */
export function unavailable(name: string): PrismError {
  return new PrismError("MODULE_UNAVAILABLE", `The module ${name} is not active`, { retryAfterMs: 5000 });
}

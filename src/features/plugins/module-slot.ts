import { type Deferred, deferred } from "../../core/deferred.ts";
import { PrismError } from "../../core/errors.ts";
import { requireAccess } from "../../http/access.ts";
import type { Exchange } from "../../http/exchange.ts";
import type { Route } from "../../http/route.ts";
import type { Router } from "../../http/router.ts";
import type { ModuleFolder } from "./find-modules.ts";
import type { ImportedModule } from "./import-module.ts";
import type { ModuleRow, ModuleState, RoutePlace } from "./module-rows.ts";
import { type ModuleRun, unavailable } from "./module-run.ts";
import type { Lasting } from "./module-services.ts";

/** Of a module whose code has not been read. */
export const UNKNOWN_VERSION = "0.0.0";

/** Requests that may wait while a module is replaced. */
const MAX_HELD = 10_000;

/** What is known of one module: its folder, its code, its present life, and what operators want of it. */
export class ModuleSlot {
  folder: ModuleFolder;
  /** The folder's until the module has said its own. */
  name: string;
  isNamed = false;
  version = UNKNOWN_VERSION;
  state: ModuleState = "loading";
  /** Why it is not active; of an active one, why its last reload changed nothing. */
  error: string | null = null;
  isEnabled = true;
  updatedAt = 0;
  imported: ImportedModule | null = null;
  run: ModuleRun | null = null;
  lasting: Lasting = { timers: new Set(), schedules: new Set() };
  /** Where its routes were when it was last active. */
  places: readonly RoutePlace[] = [];
  #gate: Deferred<void> | null = null;
  #held = 0;

  constructor(folder: ModuleFolder) {
    this.folder = folder;
    this.name = folder.folder;
  }

  /** What the router is given for it: its routes, or that they are not available. */
  routes(): readonly Route[] {
    return this.run ? this.run.routes : this.places.map((place) => this.#placeholder(place));
  }

  row(): ModuleRow {
    const { name, version, state, error, isEnabled, places, updatedAt } = this;
    return { name, version, path: this.folder.path, state, error, isEnabled, routes: places, updatedAt };
  }

  became(state: ModuleState, error: string | null, now: number): void {
    this.state = state;
    this.error = error;
    this.updatedAt = now;
    if (this.run) this.places = this.run.routes.flatMap(placesOf);
  }

  /** From now on its requests wait. */
  close(): void {
    this.#gate ??= deferred();
  }

  /** Those that wait go on, with what answers them now. */
  open(): void {
    this.#gate?.resolve();
    this.#gate = null;
  }

  /** @returns null while its requests need not wait. */
  held(
    router: Router,
    exchange: Exchange,
    body: unknown,
    hold: (exchange: Exchange, bytes: number) => () => void,
  ): Promise<unknown> | null {
    if (!this.#gate) return null;
    if (this.#held >= MAX_HELD) throw unavailable(this.name);
    if (!Buffer.isBuffer(body)) return this.#hold(this.#gate.promise, router, exchange, body);
    const release = hold(exchange, body.length);
    // The bytes are only valid until this returns.
    return this.#hold(this.#gate.promise, router, exchange, Buffer.from(body)).finally(release);
  }

  async #hold(gate: Promise<void>, router: Router, exchange: Exchange, body: unknown): Promise<unknown> {
    this.#held++;
    try {
      await gate;
    } finally {
      this.#held--;
    }
    return redirect(router, exchange, body, this.name);
  }

  #placeholder({ method, path, isPublic }: RoutePlace): Route {
    return {
      method,
      path,
      summary: `The module ${this.name}, which is not active`,
      tag: `Module ${this.name}`,
      access: isPublic ? "public" : {},
      undocumented: true,
      handle: () => {
        throw unavailable(this.name);
      },
    };
  }
}

function placesOf({ method, path, aliases = [], access }: Route): RoutePlace[] {
  return [path, ...aliases].map((each) => ({ method, path: each, isPublic: access === "public" }));
}

/** A request that was let in before its module was replaced goes to whatever has its path now, if that lets it in as well. */
function redirect(router: Router, exchange: Exchange, body: unknown, module: string): unknown {
  const match = router.find(exchange.method, exchange.path);
  if (!match || !("mount" in match)) throw new PrismError("NOT_FOUND", "No such route");
  const { access } = match.mount.route;
  if (access !== "public") {
    if (!exchange.principal)
      throw new PrismError("UNAUTHENTICATED", "Send an access token, a service token or an API key");
    requireAccess(access, exchange.principal);
  }
  // The route that was read for took bodies in another way: only the client can send it again.
  if (Buffer.isBuffer(body) !== (match.mount.route.raw !== undefined) && body !== undefined) throw unavailable(module);
  exchange.mount = match.mount;
  exchange.params = match.params;
  return match.mount.route.handle(exchange, { params: undefined, query: undefined, body });
}

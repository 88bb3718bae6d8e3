import type { Route } from "../http/route.ts";
import type * as api from "./module-api.ts";

/**
 * A feature of Prism: a module as outsiders write one, whose server also takes a definition of a
 * route.
 */
export interface Feature extends Pick<api.AppModule, "name" | "version"> {
  /** Adds the feature's routes and handlers. Nothing of the server answers yet. */
  register(server: FeatureServer, services: api.CoreServices): Promise<void> | void;
}

/** Where a feature adds its routes. */
export interface FeatureServer extends api.ModuleServer {
  /** @throws TypeError when the path and method are taken. */
  route<P = undefined, Q = undefined, B = undefined>(definition: Route<P, Q, B>): void;
}

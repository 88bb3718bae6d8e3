import type { Route } from "../http/route.ts";
import type * as api from "./module-api.ts";

/** A feature of Prism: a module as outsiders write one, plus route definitions on its server. */
export interface Feature extends Pick<api.AppModule, "name" | "version"> {
  /** Adds the feature's routes and handlers. The server does not answer yet. */
  register(server: FeatureServer, services: api.CoreServices): Promise<void> | void;
}

/** Registers the routes of a feature. */
export interface FeatureServer extends api.ModuleServer {
  /** @throws TypeError when path and method are taken. */
  route<P = undefined, Q = undefined, B = undefined>(definition: Route<P, Q, B>): void;
}

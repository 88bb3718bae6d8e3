/** The part of `gotify` that the wiring may use. */

export { gotifySealContext } from "./applications.ts";

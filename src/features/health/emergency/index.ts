/** The part of `emergency` that other features may use. */

export { callUrl } from "./call-url.ts";
export { Emergency } from "./emergency.ts";

import { PrismError } from "../core/errors.ts";
import { isVersionAmongTags } from "./etag.ts";

/** @throws VERSION_CONFLICT when the caller's copy is not the current one; without `If-Match` the last write wins. */
export function requireVersion(ifMatch: string, version: number): void {
  if (ifMatch !== "" && !isVersionAmongTags(version, ifMatch)) {
    throw new PrismError("VERSION_CONFLICT", `The resource is at version ${version}`);
  }
}

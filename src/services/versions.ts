import { PrismError } from "../base/errors.ts";

/** @throws VERSION_CONFLICT when the caller's copy is not the current one; without `If-Match` the last write wins. */
export function requireVersion(ifMatch: string, version: number): void {
  if (ifMatch !== "" && ifMatch !== "*" && ifMatch !== `"${version}"`) {
    throw new PrismError("VERSION_CONFLICT", `The resource is at version ${version}`);
  }
}

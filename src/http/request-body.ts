import { PrismError } from "../core/errors.ts";
import type { Exchange } from "./exchange.ts";
import type { Route } from "./route.ts";

const DEFAULT_BODY_BYTES = 1_048_576;
/** Of a public route: logins and their like are small. The public routes of modules take what other routes take. */
const PUBLIC_BODY_BYTES = 16_384;

/** Bytes that a body of the route may have. */
export function bodyLimitOf(route: Route): number {
  if (route.maxBodyBytes !== undefined) return route.maxBodyBytes;
  return route.access === "public" && !route.described ? PUBLIC_BODY_BYTES : DEFAULT_BODY_BYTES;
}

export function hasBody(exchange: Exchange): boolean {
  return Number(exchange.header("content-length")) > 0 || exchange.header("transfer-encoding") !== "";
}

/** @throws UNSUPPORTED_MEDIA_TYPE */
export function requireBodyType(exchange: Exchange, route: Route): void {
  const isJsonTaken = route.raw === undefined || route.raw.types.includes("application/json");
  // What nearly every client sends needs no taking apart.
  if (
    isJsonTaken &&
    exchange.header("content-type") === "application/json" &&
    exchange.header("content-encoding") === ""
  )
    return;
  const [type = "", ...parameters] = exchange.header("content-type").toLowerCase().split(";");
  const accepted: readonly string[] = route.raw?.types ?? ["application/json"];
  const charset = parameters.map((parameter) => parameter.trim()).find((parameter) => parameter.startsWith("charset="));
  const isUtf8 = charset === undefined || /^charset="?utf-?8"?$/.test(charset);
  if (!accepted.includes("*") && (!accepted.includes(type.trim()) || !isUtf8)) {
    throw new PrismError("UNSUPPORTED_MEDIA_TYPE", `Send ${accepted.join(" or ")} in UTF-8`);
  }
  const encoding = exchange.header("content-encoding");
  if (encoding !== "" && !(route.raw?.gzip === true && encoding.toLowerCase() === "gzip")) {
    throw new PrismError(
      "UNSUPPORTED_MEDIA_TYPE",
      route.raw?.gzip ? "The only content encoding is one layer of gzip" : "Send the body without a content encoding",
    );
  }
}

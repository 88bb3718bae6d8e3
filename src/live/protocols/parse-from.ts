import { PrismError } from "../../core/errors.ts";
import type { From } from "../subscription.ts";

/** Where to begin, from a query or a `Last-Event-ID` header; absent is now. @throws VALIDATION_FAILED */
export function parseFrom(text: string | undefined): From {
  if (text === undefined || text === "" || text === "latest") return "latest";
  if (text === "earliest") return "earliest";
  const offset = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(offset)) return offset;
  throw new PrismError("VALIDATION_FAILED", "The offset to resume from is not valid", {
    details: [{ path: "from", code: "VALUE", message: "must be an offset, latest or earliest" }],
  });
}

import { PrismError } from "./errors.ts";

/** More than the configuration allows. @param what subject and number, such as "A project has 1000 active rules" @param setting its dotted name */
export function limitReached(what: string, setting: string, limit: number): PrismError {
  const message = `${what}; the setting ${setting} allows ${limit}`;
  return new PrismError("LIMIT_REACHED", message, { details: [{ path: "", code: "LIMIT", message, setting, limit }] });
}

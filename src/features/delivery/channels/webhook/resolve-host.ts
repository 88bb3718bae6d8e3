import { lookup, Resolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import type { ResolvedAddress } from "./outside-hosts.ts";

const HOSTS_FILE = "/etc/hosts";
/** A name server gets one more chance. */
const TIMEOUT_MS = 3000;
const TRIES = 2;
/** There is no such name, or it has no address of this family. */
const ABSENT: ReadonlySet<string> = new Set(["ENOTFOUND", "ENODATA"]);

/**
 * All addresses of a host: of the hosts file, else of DNS. DNS is asked by c-ares, which takes no thread: names whose name servers do not answer
 * keep no other look-up waiting. Only names that DNS does not know are left to the system, for its search domains and other sources.
 * @throws what the resolver says when there is none
 */
export async function resolveHost(host: string): Promise<readonly ResolvedAddress[]> {
  const own = addressesIn(await readFile(HOSTS_FILE, "utf8").catch(() => ""), host);
  if (own.length > 0) return own;
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
  const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  const found = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  if (found.length > 0) return found.map(toAddress);
  const failure = answers.find((answer) => answer.status === "rejected" && !isAbsent(answer.reason));
  if (failure?.status === "rejected") throw failure.reason;
  return lookup(host, { all: true, verbatim: true });
}

/** @param text lines of an address and the names that it has, as in hosts(5) */
export function addressesIn(text: string, host: string): ResolvedAddress[] {
  const name = host.toLowerCase();
  return text
    .split("\n")
    .map((line) => line.replace(/#.*/, "").trim().split(/\s+/))
    .filter(([address = "", ...names]) => isIP(address) > 0 && names.some((each) => each.toLowerCase() === name))
    .map(([address = ""]) => toAddress(address));
}

function toAddress(address: string): ResolvedAddress {
  return { address, family: isIP(address) };
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && "code" in error && ABSENT.has(String(error.code));
}

import { Resolver as DnsResolver, lookup } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

const HOSTS_FILE = "/etc/hosts";
/** Limit of one query; `delivery.timeouts.dnsMs` leaves time for a second one. */
const QUERY_MS = 1200;
const TRIES = 2;
/** The name does not exist, or has no address of this family. */
const ABSENT: ReadonlySet<string> = new Set(["ENOTFOUND", "ENODATA"]);

/**
 * All addresses of a host: from the hosts file, otherwise from DNS. c-ares queries DNS without a
 * thread, so that slow name servers do not block other look-ups. Only names unknown to DNS go to
 * the system resolver, for its search domains and other sources.
 * @throws the resolver's error when there is none
 */
export async function resolveHost(host: string): Promise<readonly ResolvedAddress[]> {
  const own = addressesIn(await readFile(HOSTS_FILE, "utf8").catch(() => ""), host);
  if (own.length > 0) return own;
  const resolver = new DnsResolver({ timeout: QUERY_MS, tries: TRIES });
  const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  const found = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  if (found.length > 0) return found.map(toAddress);
  const failure = answers.find((answer) => answer.status === "rejected" && !isAbsent(answer.reason));
  if (failure?.status === "rejected") throw failure.reason;
  return lookup(host, { all: true, verbatim: true });
}

/** @param text lines of an address and its names, as in hosts(5) */
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

// The newest versions of glibc whose symbols files use: a file runs with that version and newer ones.
import { versionedSymbols } from "../elf.mjs";

/** Of RHEL 9; Ubuntu 22.04 has 2.35, Debian 12 2.36. */
const LIMIT = "2.34";

/** Files that may need more, and why: the reason is in the release notes. */
const EXCEPTIONS = {
  "uws.node": {
    version: "2.36",
    reason: "the publisher of uWebSockets.js links its addon for Node 24 against glibc 2.38",
  },
};

/** @returns such as "2.28"; null for a file without symbols of glibc */
export function newestGlibc(bytes) {
  return newestOf(versionedSymbols(bytes).map(({ version }) => versionOf(version)));
}

/** @param versions such as "2.28"; null are left out */
export function newestOf(versions) {
  const known = versions.filter((version) => version !== null);
  return known.sort(compared).at(-1) ?? null;
}

/**
 * @param files { name: bytes } of the executable and its addons
 * @returns { newest, reasons }: lines for the release notes on what needs more than the limit
 * @throws Error that names files and symbols which need more than they may
 */
export function checkGlibc(files) {
  const found = Object.entries(files).map(([name, bytes]) => ({ name, symbols: newSymbols(bytes) }));
  const newest = newestOf(Object.values(files).map(newestGlibc));
  const tooNew = found.flatMap(({ name, symbols }) =>
    symbols.filter(({ needs }) => compared(needs, EXCEPTIONS[name]?.version ?? LIMIT) > 0).map((each) => [name, each]),
  );
  if (tooNew.length > 0) {
    const list = tooNew.map(([name, symbol]) => `${name} needs ${symbol.name} of glibc ${symbol.needs}`);
    throw new Error(`a release needs at most glibc ${LIMIT}: ${list.join(", ")}`);
  }
  const reasons = found
    .filter(({ symbols }) => symbols.length > 0)
    .map(({ name, symbols }) => {
      const list = symbols.map((symbol) => `\`${symbol.name}\` of ${symbol.needs}`);
      return `\`${name}\` uses ${list.join(" and ")}: ${EXCEPTIONS[name].reason}`;
    });
  return { newest, reasons };
}

/** Symbols of versions after the limit: { name, needs }. */
function newSymbols(bytes) {
  return versionedSymbols(bytes)
    .map(({ name, version }) => ({ name, needs: versionOf(version) }))
    .filter(({ needs }) => needs !== null && compared(needs, LIMIT) > 0);
}

function versionOf(symbolVersion) {
  return /^GLIBC_(\d+\.\d+)/.exec(symbolVersion)?.[1] ?? null;
}

function compared(one, other) {
  return one.localeCompare(other, "en", { numeric: true });
}

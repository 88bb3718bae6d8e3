// needs: ip
import { spawnSync } from "node:child_process";
import type { Scope } from "../../helpers/scope.ts";

/** A network namespace of its own, which a cable joins to this machine. */
export interface Namespace {
  /** Where its programs listen. */
  readonly address: string;
  /** Words before a command that runs in it. */
  readonly enter: readonly string[];
  /** Nothing passes any more, and neither end is informed. */
  cut(): void;
  restore(): void;
}

let made = 0;

/** @returns null where this user may not make one */
export function makeNamespace(t: Scope): Namespace | null {
  const id = (process.pid * 2 + made++) % 16_384;
  const [name, outside, inside] = [`prism${id}`, `prism${id}o`, `prism${id}i`];
  const net = `10.213.${id >> 6}`;
  const at = (n: number) => `${net}.${((id & 63) << 2) + n}`;
  const ip = (line: string): boolean => spawnSync("ip", line.split(" ")).status === 0;
  const isMade =
    ip(`netns add ${name}`) &&
    ip(`link add ${outside} type veth peer name ${inside} netns ${name}`) &&
    ip(`addr add ${at(1)}/30 dev ${outside}`) &&
    ip(`link set ${outside} up`) &&
    ip(`-n ${name} addr add ${at(2)}/30 dev ${inside}`) &&
    ip(`-n ${name} link set ${inside} up`);
  t.after(() => {
    ip(`netns del ${name}`);
  });
  const change = (state: "up" | "down"): void => {
    if (!ip(`-n ${name} link set ${inside} ${state}`)) throw new Error(`the cable does not go ${state}`);
  };
  if (!isMade) return null;
  return {
    address: at(2),
    enter: ["ip", "netns", "exec", name],
    cut: () => change("down"),
    restore: () => change("up"),
  };
}

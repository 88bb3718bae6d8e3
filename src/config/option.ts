import type { Kind } from "./kinds.ts";

/** One setting: validation, default, documentation and alternative names. */
export interface Option<T> {
  readonly kind: Kind<T>;
  readonly fallback: T;
  /** Documentation: effect, unit and reason of the default, in one sentence. */
  readonly doc: string;
  /** Alternative names of variables, read after `PRISM_…`. */
  readonly seed: readonly string[];
  readonly secret: boolean;
  /** Takes effect on SIGHUP. */
  readonly reloadable: boolean;
  /** The console may change it (settings.json). */
  readonly editable: boolean;
}

export interface OptionTree {
  readonly [key: string]: Option<unknown> | OptionTree;
}

/** The type of the values of an option tree. */
export type ValuesOf<T> = {
  readonly [K in keyof T]: T[K] extends Option<infer V> ? V : T[K] extends OptionTree ? ValuesOf<T[K]> : never;
};

interface OptionExtras {
  readonly seed?: readonly string[];
  readonly secret?: boolean;
  readonly reloadable?: boolean;
  readonly editable?: boolean;
}

export function option<T>(kind: Kind<T>, fallback: T, doc: string, extras: OptionExtras = {}): Option<T> {
  return {
    kind,
    fallback,
    doc,
    seed: extras.seed ?? [],
    secret: extras.secret ?? false,
    reloadable: extras.reloadable ?? false,
    editable: extras.editable ?? false,
  };
}

/**
 * An option without a fixed default: unset means "off" or a default derived from other settings.
 */
export function optional<T>(kind: Kind<T>, doc: string, extras: OptionExtras = {}): Option<T | undefined> {
  return option<T | undefined>(kind as Kind<T | undefined>, undefined, doc, extras);
}

export function isOption(node: Option<unknown> | OptionTree): node is Option<unknown> {
  return "kind" in node && "fallback" in node;
}

const flattened = new WeakMap<OptionTree, readonly [string, Option<unknown>][]>();

/** All options of a tree with their dotted keys, in source order. */
export function flattenOptions(tree: OptionTree): readonly [string, Option<unknown>][] {
  const known = flattened.get(tree) ?? flatten(tree, "");
  flattened.set(tree, known);
  return known;
}

function flatten(tree: OptionTree, prefix: string): [string, Option<unknown>][] {
  return Object.entries(tree).flatMap(([name, node]): [string, Option<unknown>][] => {
    const key = prefix === "" ? name : `${prefix}.${name}`;
    return isOption(node) ? [[key, node]] : flatten(node, key);
  });
}

/** `ingest.maxBatch` is `PRISM_INGEST_MAX_BATCH`. */
export function environmentName(key: string): string {
  return `PRISM_${wordsOf(key).join("_").toUpperCase()}`;
}

/** `log.level` is `--log-level`. */
export function flagName(key: string): string {
  return `--${wordsOf(key).join("-").toLowerCase()}`;
}

function wordsOf(key: string): string[] {
  return key.replace(/([a-z0-9])([A-Z])/g, "$1.$2").split(/[.-]/);
}

/** `postgres://user:password@host/db` without user and password, for messages and output. */
export function maskCredentials(text: string): string {
  return text.replace(/:\/\/[^\s/"@]+@/g, "://***@");
}

/** All problems of a configuration. */
export class ConfigRefused extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "ConfigRefused";
    this.problems = problems;
  }
}

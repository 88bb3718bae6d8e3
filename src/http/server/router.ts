import type { Method, Route } from "../api/route.ts";
import { NO_PARAMS } from "./exchange.ts";

/** A path of a route: its canonical one, or an alias. */
export interface Mount {
  readonly route: Route;
  readonly path: string;
  readonly isAlias: boolean;
  /** Names of the parameters in the order of the path. */
  readonly parameterNames: readonly string[];
  /** Parameter names for the handler: those of the canonical path, by position. */
  readonly givenNames: readonly string[];
}

export interface Match {
  readonly mount: Mount;
  readonly params: Readonly<Record<string, string>>;
}

/** The mounts of one path by method. */
type Methods = Map<Method, Mount>;

interface Node {
  readonly literals: Map<string, Node>;
  parameter: Node | null;
  methods: Methods | null;
}

/** Routes by path and method. Entries are never removed: a new set of routes needs a new table. */
class RouteTable {
  readonly mounts: Mount[] = [];
  readonly #static = new Map<string, Methods>();
  readonly #root = newNode();

  /** @throws TypeError when path and method are taken. */
  add(route: Route): void {
    const canonical = parametersOf(route.path);
    for (const path of [route.path, ...(route.aliases ?? [])]) {
      const methods = this.#methodsFor(path);
      const isAlias = path !== route.path;
      const parameterNames = isAlias ? parametersOf(path) : canonical;
      const givenNames = isAlias ? parameterNames.map((name, at) => canonical[at] ?? name) : canonical;
      const mount = { route, path, isAlias, parameterNames, givenNames };
      if (methods.has(route.method)) throw new TypeError(`${route.method} ${path} is mounted twice`);
      methods.set(route.method, mount);
      this.mounts.push(mount);
    }
  }

  at(path: string, values: string[]): Methods | null {
    return this.#static.get(path) ?? descend(this.#root, path.split("/"), 1, values);
  }

  #methodsFor(path: string): Methods {
    if (!path.includes(":")) return getOrMake(this.#static, path, () => new Map());
    let node = this.#root;
    for (const segment of path.split("/").slice(1)) {
      if (isParameter(segment)) {
        node.parameter ??= newNode();
        node = node.parameter;
      } else node = getOrMake(node.literals, segment, newNode);
    }
    node.methods ??= new Map();
    return node.methods;
  }
}

/**
 * Finds the route of a path. Literal segments win over parameters. Paths are not normalised: a
 * trailing or double slash or another case is another path. Paths without parameters take one
 * look-up. Routes of modules are in a separate table, which is replaced at once: a request sees
 * either all old or all new ones.
 */
export class Router {
  readonly #own = new RouteTable();
  #loaded: RouteTable | null = null;

  /** @throws TypeError when path and method are taken. */
  add(route: Route): void {
    this.#own.add(route);
  }

  /** Replaces the routes of modules. Their paths must not meet any of Prism's: {@link meets}. */
  replaceLoaded(routes: readonly Route[]): void {
    const table = new RouteTable();
    for (const route of routes) table.add(route);
    this.#loaded = routes.length === 0 ? null : table;
  }

  /** Identifies the current set of module routes: anything derived from another one is outdated. */
  get loadedState(): unknown {
    return this.#loaded;
  }

  get mounts(): readonly Mount[] {
    return this.#loaded ? [...this.#own.mounts, ...this.#loaded.mounts] : this.#own.mounts;
  }

  /** @returns a path of Prism that some request could match together with this one. */
  meets(path: string): string | undefined {
    return this.#own.mounts.find((mount) => pathsMeet(mount.path, path))?.path;
  }

  /** @returns undefined for an unknown path; the allowed methods if only the method is missing */
  find(method: string, path: string): Match | { readonly allowed: readonly string[] } | undefined {
    const values: string[] = [];
    const methods = this.#methodsAt(path, values);
    if (!methods) return undefined;
    const mount = methods.get((method === "HEAD" ? "GET" : method) as Method);
    if (!mount) return { allowed: allowedMethods(methods) };
    const params = values.length === 0 ? NO_PARAMS : decodeParameters(mount.givenNames, values);
    return params ? { mount, params } : undefined;
  }

  /** The methods of a path, for a CORS preflight. */
  allowed(path: string): readonly string[] | undefined {
    const methods = this.#methodsAt(path, []);
    return methods ? allowedMethods(methods) : undefined;
  }

  #methodsAt(path: string, values: string[]): Methods | null {
    return this.#own.at(path, values) ?? this.#loaded?.at(path, values) ?? null;
  }
}

/** Whether some path matches both patterns: segments are equal or one is a parameter. */
export function pathsMeet(a: string, b: string): boolean {
  const left = a.split("/");
  const right = b.split("/");
  if (left.length !== right.length) return false;
  return left.every((segment, i) => {
    const other = right[i] as string;
    return segment === other || isParameter(segment) || isParameter(other);
  });
}

function descend(node: Node, segments: readonly string[], at: number, values: string[]): Methods | null {
  if (at === segments.length) return node.methods;
  const segment = segments[at] as string;
  const literal = node.literals.get(segment);
  const byLiteral = literal ? descend(literal, segments, at + 1, values) : null;
  if (byLiteral) return byLiteral;
  if (!node.parameter || segment === "") return null;
  values.push(segment);
  const byParameter = descend(node.parameter, segments, at + 1, values);
  if (!byParameter) values.pop();
  return byParameter;
}

function allowedMethods(methods: Methods): string[] {
  const names: string[] = [...methods.keys()];
  if (methods.has("GET")) names.push("HEAD");
  return [...names, "OPTIONS"].sort();
}

/** @returns undefined for a segment with invalid percent-encoding. */
function decodeParameters(
  names: readonly string[],
  values: readonly string[],
): Readonly<Record<string, string>> | undefined {
  const params: Record<string, string> = Object.create(null);
  for (const [at, name] of names.entries()) {
    const value = values[at] as string;
    try {
      params[name] = value.includes("%") ? decodeURIComponent(value) : value;
    } catch {
      return undefined;
    }
  }
  return params;
}

const NONE: readonly string[] = [];

function parametersOf(path: string): readonly string[] {
  if (!path.includes(":")) return NONE;
  return path
    .split("/")
    .filter(isParameter)
    .map((segment) => segment.slice(1));
}

function isParameter(segment: string): boolean {
  return segment.startsWith(":");
}

function newNode(): Node {
  return { literals: new Map(), parameter: null, methods: null };
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

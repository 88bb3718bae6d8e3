/* What a sealed secret holds to beside its place: the members that decide who gets it. Commands and the server share it. */

type Members = Readonly<Record<string, unknown>>;

/** A member with an address of a service. */
export interface AddressMember {
  /** Such as `fields.url`. */
  readonly path: string;
  /** The address is a secret itself. */
  readonly secret: boolean;
}

/** Address members by the name of the service; absent: it has none. */
export type ServiceAddresses = Readonly<Record<string, readonly AddressMember[]>>;

/** The member that says which service an object is for, by kind. */
const SERVICE_MEMBER: Readonly<Record<string, string>> = {
  ...{ channels: "preset", receivers: "preset", integrations: "kind" },
};

/** The addresses of an object, by the service that it names. */
export function addressesOf(kind: string, spec: Members, all: ServiceAddresses = {}): readonly AddressMember[] {
  const service = spec[SERVICE_MEMBER[kind] ?? ""];
  return (typeof service === "string" && Object.hasOwn(all, service) && all[service]) || [];
}

interface SealedMember {
  readonly kind: string;
  /** As its file has it. */
  readonly spec: Members;
  /** Path of the secret. */
  readonly field: string;
  /** The addresses that its service has. */
  readonly addresses: readonly AddressMember[];
}

export interface BoundMembers {
  /** By path. */
  readonly bound: Members;
  /** An address without a value in the files: whoever applies would choose it. */
  readonly unsealed?: string | undefined;
}

/**
 * The members to which a sealed secret is bound: with other values it does not open.
 */
export function boundMembers({ kind, spec, field, addresses }: SealedMember): BoundMembers {
  const service = SERVICE_MEMBER[kind];
  const bound: Record<string, unknown> = {};
  if (service !== undefined) bound[service] = spec[service] ?? null;
  const isAddress = addresses.some(({ path }) => path === field);
  for (const { path, secret } of addresses) {
    // Of two secret addresses each is its own destination.
    if (path === field || (secret && isAddress)) continue;
    const value = memberAt(spec, path) ?? null;
    const sealed = sealedIn(value);
    const isWritten = !secret && (value === null || typeof value === "string");
    if (sealed === undefined && !isWritten) return { bound, unsealed: path };
    bound[path] = sealed === undefined ? value : { sealed };
  }
  return { bound };
}

function memberAt(spec: Members, path: string): unknown {
  const [member = "", below] = path.split(".");
  const value = spec[member];
  if (below === undefined) return value;
  return typeof value === "object" && value !== null ? (value as Members)[below] : undefined;
}

function sealedIn(value: unknown): string | undefined {
  const { sealed } = (typeof value === "object" && value !== null ? value : {}) as { readonly sealed?: unknown };
  return typeof sealed === "string" ? sealed : undefined;
}

import { api, ifMatch } from "../app/api.ts";
import { useEdits } from "../app/edits.ts";
import { useFieldErrors } from "../app/field-errors.ts";
import { invalidate } from "../app/query.ts";
import { type BodyMembers, type Described, emptyOf, initialOf } from "./described.ts";

/** Undefined: without an edit again. */
type Changes<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** The members of a thing, or of an object in it, as a form edits them. */
export interface Edited<T> {
  readonly members: BodyMembers;
  /** What is stored or the default, with the edits. */
  readonly values: Partial<T>;
  /** A promise: it is saved at once, and shown by then. */
  change(changes: Changes<T>): unknown;
  errorOf(name: string): string | undefined;
  /** A field of this member is shown: an error about it belongs there. */
  show(name: string): void;
}

export interface Resource<T, A> extends Edited<T> {
  /** The members that differ from what is stored. */
  readonly edits: Partial<T>;
  /** @param more besides the edits. @returns undefined when the server refused fields, which now have their errors */
  send(more?: Changes<T>): Promise<A | undefined>;
}

interface Stored {
  readonly id: string;
  readonly version?: number;
}

interface Options<T> {
  /** The thing that the form changes; undefined: it creates one. */
  readonly stored?: Stored | undefined;
  /** Sent with every request, such as the project of a new thing. */
  readonly given?: Partial<T> | undefined;
  /** With what the form of a new thing begins, in place of the defaults of the API. */
  readonly start?: Partial<T> | undefined;
  /** In place of the one that creates, for things below others. */
  readonly path?: string | undefined;
  /** An object of which requests give the changes only. */
  readonly merged?: keyof T & string;
  /** A change of an older version is refused. */
  readonly isVersioned?: boolean | undefined;
}

function changesOf(object: object, before: unknown): object {
  const known = (before ?? {}) as Readonly<Record<string, unknown>>;
  const changed = ([name, value]: [string, unknown]) => JSON.stringify(value) !== JSON.stringify(known[name]);
  return Object.fromEntries(Object.entries(object).filter(changed));
}

/** A draft that the page keeps; errors about it are above the form. */
export function editedOf<T>(
  described: Pick<Described<T>, "members">,
  values: Partial<T>,
  change: (changes: Partial<T>) => void,
): Edited<T> {
  return { members: described.members, values, change, errorOf: () => undefined, show: () => undefined };
}

/** What the API says of each object, of the type `E`, of a list within. */
export function itemsOf<E>({ members }: { readonly members: BodyMembers }, name: string) {
  return { members: members[name]?.members ?? {} } as Pick<Described<E>, "members">;
}

/** The members of an object within. */
export function partOf<T extends object, K extends keyof T & string>(
  edited: Edited<T>,
  name: K,
): Edited<NonNullable<T[K]>> {
  const values = (edited.values[name] ?? {}) as Partial<NonNullable<T[K]>>;
  return {
    members: edited.members[name]?.members ?? {},
    values,
    change: (changes) => edited.change({ [name]: { ...values, ...changes } } as unknown as Changes<T>),
    errorOf: (own) => edited.errorOf(`${name}.${own}`),
    show: (own) => edited.show(`${name}.${own}`),
  };
}

/**
 * The form of a thing, as the API describes it. A request that creates has what the user gave and what
 * the API requires, a request that changes has the edits.
 */
export function useResource<T extends object, A extends object>(
  described: Described<T>,
  { stored, given = {}, start, path = described.path, isVersioned, merged }: Options<T> = {},
): Resource<T, A> {
  const members: BodyMembers = described.members;
  const known = (thing: object) =>
    Object.fromEntries(Object.entries(thing).filter(([name]) => Object.hasOwn(members, name))) as Partial<T>;
  const begun = () => ({ ...(initialOf(members) as Partial<T>), ...start });
  const { values, edits, change, saved } = useEdits<Partial<T>>(stored ? known(stored) : begun());
  const shown: string[] = [];
  const errors = useFieldErrors(shown);
  const request = (more?: Changes<T>) => {
    if (!stored) {
      const required = Object.entries(members).filter(([, member]) => member.required);
      const needed = Object.fromEntries(
        required.map(([name, member]) => [name, values[name as keyof T] ?? emptyOf(member)]),
      );
      return api.post<A>(path, { ...needed, ...start, ...edits, ...given, ...more });
    }
    const extra = isVersioned ? ifMatch({ version: stored.version ?? 0 }) : {};
    const part = merged && edits[merged];
    const within = part ? { [merged]: changesOf(part, stored[merged as keyof Stored]) } : {};
    const body = { ...edits, ...within, ...given, ...more };
    const one = `${path}/${encodeURIComponent(stored.id)}`;
    return described.change === "PUT" ? api.put<A>(one, body, {}, extra) : api.patch<A>(one, body, extra);
  };
  return {
    ...{ members, values, edits },
    change: (changes) => change(changes as Partial<T>),
    errorOf: errors.of,
    show: (name) => shown.push(name),
    async send(more) {
      const answer = await errors.attempt(() => request(more));
      if (answer === undefined) return undefined;
      if (stored) saved(known(answer));
      invalidate(/^\/\w+/.exec(path)?.[0] ?? path);
      return answer;
    },
  };
}

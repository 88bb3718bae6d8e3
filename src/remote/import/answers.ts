import * as v from "valibot";
import { type HttpSource, unreadable } from "./http-source.ts";
import { shaped } from "./source-rows.ts";

/* Reading lists and objects of an API, with what the reader may not have. */

/** A request that the old system refused, or did not know. */
export interface MissingAnswer {
  readonly what: string;
  readonly status: 403 | 404;
}

export class Answers {
  readonly missing: MissingAnswer[] = [];
  readonly source: HttpSource;

  constructor(source: HttpSource) {
    this.source = source;
  }

  /**
   * @param what for the report
   * @param isOptional there need be none, which is no row of the report
   * @returns null: the reader may not have it @throws CommandError 7
   */
  async one<T extends v.GenericSchema>(
    path: string,
    what: string,
    schema: T,
    { isOptional = false } = {},
  ): Promise<v.InferOutput<T> | null> {
    const answer = await this.source.get(path);
    if ("body" in answer) return shaped(schema, answer.body, what);
    if (!isOptional || answer.missing !== 404) this.missing.push({ what, status: answer.missing });
    return null;
  }

  /**
   * All pages of a list.
   * @param page the entries of an answer and the path of the next one
   */
  async all<P extends v.GenericSchema, T>(
    path: string,
    what: string,
    schema: P,
    page: (answer: v.InferOutput<P>, path: string) => { readonly entries: readonly T[]; readonly next: string | null },
    options: { readonly isOptional?: boolean } = {},
  ): Promise<T[]> {
    const found: T[] = [];
    for (let next: string | null = path, pages = 0; next !== null; pages++) {
      if (pages === MAX_PAGES) throw unreadable(`${what} has more than ${MAX_PAGES} pages`);
      const answer: v.InferOutput<P> | null = await this.one(next, what, schema, options);
      if (answer === null) return found;
      const { entries, next: after } = page(answer, next);
      found.push(...entries);
      next = entries.length === 0 ? null : after;
    }
    return found;
  }
}

const MAX_PAGES = 1000;

/** A member that may be absent, null or empty. */
export const text = v.optional(v.nullable(v.string()), null);
export const flag = v.optional(v.nullable(v.boolean()), null);
export const number = v.optional(v.nullable(v.number()), null);
export const many = <T extends v.GenericSchema>(schema: T) =>
  v.pipe(
    v.optional(v.nullable(v.array(schema)), []),
    v.transform((list) => list ?? []),
  );
export const maybe = <T extends v.GenericSchema>(schema: T) => v.optional(v.nullable(schema), null);

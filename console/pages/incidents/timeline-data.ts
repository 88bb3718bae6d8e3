import type { NoticeOutcome } from "../../../src/client/api-types.gen.ts";
import { isOutcome } from "./outcome-words.tsx";

/** Members of `data`, which depends on the kind. */
export class Data {
  readonly #data: Readonly<Record<string, unknown>>;

  constructor(data: Readonly<Record<string, unknown>>) {
    this.#data = data;
  }

  number(name: string): number {
    return Number(this.#data[name] ?? 0);
  }

  flag(name: string): boolean {
    return this.#data[name] === true;
  }

  text(name: string): string {
    const value = this.#data[name];
    return typeof value === "string" ? value : "";
  }

  list(name: string): readonly string[] {
    const value = this.#data[name];
    return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
  }

  get outcome(): NoticeOutcome | undefined {
    const value = this.#data["outcome"];
    return isOutcome(value) ? value : undefined;
  }

  get outcomes(): readonly NoticeOutcome[] {
    const value = this.#data["outcomes"];
    return Array.isArray(value) ? value.filter(isOutcome) : [];
  }

  objects(name: string): readonly Data[] {
    const value = this.#data[name];
    return Array.isArray(value) ? value.map((each) => new Data(each as Readonly<Record<string, unknown>>)) : [];
  }

  map(name: string): Readonly<Record<string, unknown>> {
    const value = this.#data[name];
    return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  }
}

import { cutText, wellFormed } from "./code-points.ts";
import { decimalText } from "./evaluate/decimal.ts";
import { isList, type JsonObject, toValue, type Value } from "./evaluate/value.ts";

/** A value made fit for JSON and for people: decimals as text, long texts cut, large lists and objects abridged. */
export type ShownValue =
  | null
  | boolean
  | number
  | string
  | readonly ShownValue[]
  | { readonly [member: string]: ShownValue };

const TEXT_CHARACTERS = 200;
const KEY_CHARACTERS = 100;
const MEMBERS = 20;
const DEPTH = 4;
/** Elements and members that all values of one display show together. */
const TOTAL_MEMBERS = 1000;

/** Shows the values of one trace, within one bound for all of them: a payload of 256 KiB can be read by 500 paths. */
export class ValueDisplay {
  #membersLeft = TOTAL_MEMBERS;
  readonly #members = new Map<JsonObject, readonly string[]>();

  show(value: Value, depth = 0): ShownValue {
    switch (typeof value) {
      case "string":
        return cutText(wellFormed(value), TEXT_CHARACTERS);
      case "bigint":
        return decimalText(value);
      case "object":
        if (value === null) return null;
        if (depth === DEPTH) return "…";
        return isList(value) ? this.#showList(value, depth) : this.#showObject(value, depth);
      default:
        return value;
    }
  }

  #showList(list: readonly unknown[], depth: number): readonly ShownValue[] {
    const count = this.#take(list.length);
    const shown = list.slice(0, count).map((element) => this.show(toValue(element), depth + 1));
    return count < list.length ? [...shown, more(list.length - count)] : shown;
  }

  #showObject(object: JsonObject, depth: number): ShownValue {
    const members = this.#membersOf(object);
    const count = this.#take(members.length);
    const shown = members.slice(0, count).map((member): [string, ShownValue] => {
      return [cutText(wellFormed(member), KEY_CHARACTERS), this.show(toValue(object[member]), depth + 1)];
    });
    if (count < members.length) shown.push(["…", more(members.length - count)]);
    // Defines members instead of assigning them: one named __proto__ stays a member.
    return Object.fromEntries(shown);
  }

  /** Listing the members of a large payload takes milliseconds, and every path can show it. */
  #membersOf(object: JsonObject): readonly string[] {
    const members = this.#members.get(object) ?? Object.keys(object);
    this.#members.set(object, members);
    return members;
  }

  #take(count: number): number {
    const taken = Math.min(count, MEMBERS, this.#membersLeft);
    this.#membersLeft -= taken;
    return taken;
  }
}

function more(count: number): string {
  return `… ${count} more`;
}

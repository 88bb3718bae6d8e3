import type { OnCallSchedule, OnCallUser } from "../../../src/client/api-types.gen.ts";
import { me } from "../../app/session.ts";
import { nameOf } from "./oncall-types.ts";

export interface ChangesProps {
  readonly schedule: OnCallSchedule;
  readonly people: readonly OnCallUser[];
}

/** Finds names of users that a schedule names. */
export function namer(people: readonly OnCallUser[]): (id: string) => string {
  return (id) => {
    const person = people.find((each) => each.id === id);
    return person ? nameOf(person) : id === me.value?.id ? "You" : "Unknown user";
  };
}

export function isOver({ end }: { readonly end: string }): boolean {
  return Date.parse(end) <= Date.now();
}

import { eventually } from "../../../../helpers/eventually.ts";
import type { TestPrism } from "../../../../helpers/prism.ts";
import { scalarOf } from "../../../../helpers/tables.ts";

/**
 * Waits for what a seal that had used up its budget has left undecided: on a machine with other
 * things to do, any events of a batch but the first. @param poison how many cannot be decided.
 */
export async function allDecided(prism: TestPrism, poison = 0): Promise<void> {
  const undecided = "select count(*) from events where processedAt is null";
  await eventually("all are decided", () => scalarOf<number>(prism, undecided) === poison);
}

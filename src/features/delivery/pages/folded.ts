import type { Folding } from "./page.ts";
import { isDrill, type PageQueue, type Waiting } from "./page-queue.ts";

/** Largest number of pages in one message. */
const MAX_FOLDED = 500;

/** The page alone, or all that are combined with it because too many wait. */
export function batchOf(queue: PageQueue, page: Waiting, fold: Folding | undefined): readonly Waiting[] {
  if (!fold || queue.gate.trouble || isDrill(page)) return [page];
  const moves = queue.moves(page, MAX_FOLDED);
  if (moves.length > fold.aboveMoves(queue.key)) return moves;
  return queue.ready <= fold.above(queue.key, queue.isBack) ? [page] : queue.foldable(MAX_FOLDED);
}

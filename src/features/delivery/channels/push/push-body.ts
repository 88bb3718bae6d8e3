/** What both providers take at the most. */
export const MAX_PUSH_BYTES = 4096;
/** An action may leave the text this much room, or it stays out: the app finds it under the notification's id. */
const MIN_TEXT_BYTES = 512;
const CUT = "…";

/**
 * The message as it is sent, within what providers take. A text that is too long ends early, with a mark; an action that would leave it no room is
 * left out.
 * @param build makes the message's JSON of a text and an action.
 */
export function fitPush<A>(text: string, action: A | null, build: (text: string, action: A | null) => string): string {
  const room = Math.min(Buffer.byteLength(JSON.stringify(text)), MIN_TEXT_BYTES);
  const kept = Buffer.byteLength(build("", action)) + room <= MAX_PUSH_BYTES ? action : null;
  const whole = build(text, kept);
  if (Buffer.byteLength(whole) <= MAX_PUSH_BYTES) return whole;
  const characters = Array.from(text);
  const cutTo = (count: number): string => build(`${characters.slice(0, count).join("").trimEnd()}${CUT}`, kept);
  let [fits, tooMany] = [0, characters.length];
  while (tooMany - fits > 1) {
    const middle = (fits + tooMany) >> 1;
    if (Buffer.byteLength(cutTo(middle)) <= MAX_PUSH_BYTES) fits = middle;
    else tooMany = middle;
  }
  return cutTo(fits);
}

/** From this priority on a push wakes the device at once; below, it may wait until the device is awake. */
export const URGENT_PRIORITY = 500;

/** `[FIRING:1] `, `[RESOLVED] `, `[FIRING:2, RESOLVED:1] `, as Alertmanager and Grafana title their messages. */
const MARK =
  /^[^\p{L}\p{N}[]{0,4}\[(?:FIRING|RESOLVED)(?::\s?\d{1,6})?(?:,\s?(?:FIRING|RESOLVED)(?::\s?\d{1,6})?){0,3}\]\s*/iu;

/** The title of an alert, which has a state of its own, without the sender's mark for the state of the first message. */
export function withoutStateMark(title: string): string {
  return title.replace(MARK, "") || title;
}

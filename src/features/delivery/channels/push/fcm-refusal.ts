import * as v from "valibot";

/** The error body of Google's APIs, with the details that FCM adds (https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode). */
const Refusal = v.object({
  error: v.object({
    status: v.optional(v.string(), "UNKNOWN"),
    message: v.optional(v.string(), ""),
    details: v.optional(
      v.array(
        v.object({
          "@type": v.optional(v.string(), ""),
          errorCode: v.optional(v.string()),
          fieldViolations: v.optional(v.array(v.object({ field: v.optional(v.string(), "") }))),
        }),
      ),
      [],
    ),
  }),
});

export interface FcmRefusal {
  /** FCM's own code, else that of Google's APIs. */
  readonly code: string;
  readonly message: string;
  /** Whether it is the token that is not as it must be. */
  readonly namesToken: boolean;
}

/** Reads what a refusal says; an answer that is none of Google's says nothing. */
export function fcmRefusal(json: unknown): FcmRefusal {
  const { success, output } = v.safeParse(Refusal, json);
  if (!success) return { code: "UNKNOWN", message: "no reason was given", namesToken: false };
  const { status, message, details } = output.error;
  const fields = details.flatMap(({ fieldViolations }) => fieldViolations ?? []).map(({ field }) => field);
  return {
    code: details.find(({ errorCode }) => errorCode !== undefined)?.errorCode ?? status,
    message,
    namesToken: fields.includes("message.token") || (fields.length === 0 && /\bregistration token\b/i.test(message)),
  };
}

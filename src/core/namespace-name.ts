/** Stands for any namespace of Socket.IO. */
export const ANY_NAMESPACE = "*";
/** What URLs have without escapes. */
const NAME = /^\/[\w.~:@/-]{1,64}$/;

/** Whether clients of Socket.IO may call a namespace so. */
export function isNamespaceName(name: string): boolean {
  return NAME.test(name);
}

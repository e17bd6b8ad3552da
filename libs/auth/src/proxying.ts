/**
 * Who asks, where a proxy may stand between: a proxy names for whom it asks, who is no proxy; nobody else names anybody.
 * Both must be allowed what is asked. Undefined: these two cannot be.
 */
export function askingRoles(
  role: string,
  originalRole: string | undefined,
  proxyRoles: ReadonlySet<string>
): readonly string[] | undefined {
  const original = originalRole?.trim() ?? ''
  if (proxyRoles.has(role)) {
    return original === '' || proxyRoles.has(original) ? undefined : [role, original]
  }
  return original === '' || original === role ? [role] : undefined
}

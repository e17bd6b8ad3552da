/** Of this program, as --version and the registry have it. */
export const VERSION = '0.1.0'

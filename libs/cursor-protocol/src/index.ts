export { comparePositions, EARLIEST, formatPosition, LATEST, samePosition, type Position } from './position.ts'

export * from './generated/PulsarApi_pb.ts'

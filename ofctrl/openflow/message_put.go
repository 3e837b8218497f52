package openflow

// message writes a message up to its length field.
func (e *encoder) message(m Message) error {
	switch m := m.(type) {
	case *Hello:
		encodeHello(e, m)
	case *Error:
		return encodeError(e, m)
	case *EchoRequest:
		e.begin(2)
		e.bytes(m.Data)
	case *EchoReply:
		e.begin(3)
		e.bytes(m.Data)
	case *FeaturesRequest:
		e.begin(5)
	case *FeaturesReply:
		return encodeFeaturesReply(e, m)
	case *GetConfigRequest:
		e.begin(7)
	case *GetConfigReply:
		e.begin(8)
		e.u16(m.Flags, m.MissSendLen)
	case *SetConfig:
		e.begin(9)
		e.u16(m.Flags, m.MissSendLen)
	case *BarrierRequest:
		e.begin(pick[uint8](e.v == V10, 18, 20))
	case *BarrierReply:
		e.begin(pick[uint8](e.v == V10, 19, 21))
	case *FlowMod:
		return encodeFlowMod(e, m)
	case *FlowRemoved:
		return encodeFlowRemoved(e, m)
	case *PacketIn:
		return encodePacketIn(e, m)
	case *PacketOut:
		return encodePacketOut(e, m)
	case *PortStatus:
		e.begin(12)
		e.u8(m.Reason, 0, 0, 0, 0, 0, 0, 0)
		e.port(&m.Port)
	case *PortMod:
		return encodePortMod(e, m)
	case *RoleRequest:
		return e.role(false, m.Role, m.HasGenID, m.GenerationID, m.Nicira)
	case *RoleReply:
		return e.role(true, m.Role, m.HasGenID, m.GenerationID, m.Nicira)
	case *SetPacketInFormat:
		e.beginExp(nx, 16)
		e.u32(uint32(m.Format))
	case *SetFlowFormat:
		e.beginExp(nx, 12)
		e.u32(m.Format)
	case *FlowModTableID:
		e.beginExp(nx, 15)
		e.u8(pick[uint8](m.Set, 1, 0), 0, 0, 0, 0, 0, 0, 0)
	case *SetControllerID:
		e.beginExp(nx, 20)
		e.u16(0, 0, 0, m.ID)
	case *SetAsync:
		return encodeSetAsync(e, m)
	case *GetAsyncRequest:
		e.begin(26)
	case *GetAsyncReply:
		return encodeGetAsyncReply(e, m)
	case *MultipartRequest:
		return e.multipartRequest(m)
	case *MultipartReply:
		return e.multipartReply(m)
	case *Raw:
		if m.Type == typeExperimenter {
			e.beginExp(m.Vendor, m.Subtype)
		} else {
			e.begin(m.Type)
		}
		e.bytes(m.Body)
	default:
		return e.extension(m)
	}
	return nil
}

// extension writes the messages of groups, meters, tables, bundles and Nicira's extensions.
func (e *encoder) extension(m Message) error {
	switch m := m.(type) {
	case *GroupMod:
		return encodeGroupMod(e, m)
	case *MeterMod:
		return encodeMeterMod(e, m)
	case *TableMod:
		return encodeTableMod(e, m)
	case *BundleControl:
		return encodeBundleControl(e, m)
	case *BundleAdd:
		return encodeBundleAdd(e, m)
	case *RoleStatus:
		return encodeRoleStatus(e, m)
	case *TLVTableMod:
		e.beginExp(nx, 24)
		e.u16(m.Command, 0, 0, 0)
		e.tlvMaps(m.Maps)
	case *TLVTableRequest:
		e.beginExp(nx, 25)
	case *TLVTableReply:
		e.beginExp(nx, 26)
		e.u32(m.MaxSpace)
		e.u16(m.MaxFields)
		e.zero(10)
		e.tlvMaps(m.Maps)
	case *Resume:
		return encodeResume(e, m)
	case *CTFlushZone:
		e.beginExp(nx, 29)
		e.u16(0, 0, 0, m.Zone)
	case *CTFlush:
		return encodeCTFlush(e, m)
	case *FlowMonitorCancel:
		if e.v == V13 {
			e.beginExp(onf, 1870)
		} else {
			e.beginExp(nx, 21)
		}
		e.u32(m.ID)
	case *QueueConfigRequest:
		return encodeQueueConfigRequest(e, m)
	case *QueueConfigReply:
		return encodeQueueConfigReply(e, m)
	case *TableStatus:
		return encodeTableStatus(e, m)
	case *RequestForward:
		return encodeRequestForward(e, m)
	case *FlowAge:
		e.beginExp(nx, 18)
	case *FlowMonitorPaused:
		e.monitorState(22, 1871)
	case *FlowMonitorResumed:
		e.monitorState(23, 1872)
	default:
		return bad(BadType, "encode %T", m)
	}
	return nil
}

// monitorState writes that monitors are paused or resumed; 1.4 and later have events for it.
func (e *encoder) monitorState(nxSub, onfSub uint32) {
	if e.v == V13 {
		e.beginExp(onf, onfSub)
	} else {
		e.beginExp(nx, nxSub)
	}
}

package openflow

// noGeneration stands for "no generation id" on the wire.
const noGeneration = ^uint64(0)

func decodeRole(b []byte) (r Role, has bool, id uint64, err error) {
	r, id = Role(be32(b)), be64(b[8:])
	if r > RoleSecondary {
		return 0, false, 0, bad(RoleBad, "role %d", r)
	}
	return r, id != noGeneration && r >= RolePrimary, id, nil
}

func decodeRoleRequest(d *decoder) (Message, error) {
	r, has, id, err := decodeRole(d.body)
	return &RoleRequest{Role: r, HasGenID: has, GenerationID: id}, err
}

func decodeRoleReply(d *decoder) (Message, error) {
	r, _, id, err := decodeRole(d.body)
	return &RoleReply{Role: r, HasGenID: id != noGeneration, GenerationID: id}, err
}

// decodeNXRole reads Nicira's numbers: 0 equal, 1 primary, 2 secondary.
func decodeNXRole(b []byte) (Role, error) {
	r := be32(b)
	if r > 2 {
		return 0, bad(RoleBad, "role %d", r)
	}
	return Role(r + 1), nil
}

func decodeNXRoleRequest(d *decoder) (Message, error) {
	r, err := decodeNXRole(d.body)
	return &RoleRequest{Role: r, Nicira: true}, err
}

func decodeNXRoleReply(d *decoder) (Message, error) {
	r, err := decodeNXRole(d.body)
	return &RoleReply{Role: r, Nicira: true}, err
}

// role writes a request (reply false) or reply. Versions without roles have Nicira's message.
func (e *encoder) role(reply bool, r Role, hasID bool, id uint64, nicira bool) error {
	if nicira || e.v < V12 {
		if r == RoleNoChange {
			return bad(RoleBad, "no change as a Nicira role")
		}
		e.beginExp(nx, pick[uint32](reply, 11, 10))
		e.u32(uint32(r) - 1)
		return nil
	}
	e.begin(pick[uint8](reply, 25, 24))
	e.u32(uint32(r), 0)
	e.u64(pick(hasID || !reply && id != 0, id, noGeneration))
	return nil
}

func decodeRoleStatus(d *decoder) (Message, error) {
	b := d.body
	return &RoleStatus{Role: Role(be32(b)), Reason: b[4], GenerationID: be64(b[8:])}, nil
}

func encodeRoleStatus(e *encoder, m *RoleStatus) error {
	switch {
	case e.v >= V14:
		e.begin(30)
	case e.v == V13:
		e.beginExp(onf, 1911)
	default:
		return bad(NXUnencodable, "role status in OpenFlow 1.%d", e.v-V10)
	}
	e.u32(uint32(m.Role))
	e.u8(m.Reason, 0, 0, 0)
	e.u64(m.GenerationID)
	return nil
}

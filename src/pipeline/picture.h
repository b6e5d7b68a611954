// A picture cut into pieces for the network, and put together again from their logits.
//
// It has a piece, an image of the network's, per delivery and tile. A delivery's logit is the mean over its tiles:
// since the head is linear, that is the logit of their mean features, and it grows no bolder with the number of tiles,
// as a maximum would, so the threshold and the calibration of one tile hold for many. Tiles with next to no texture say
// nothing and are left out, unless all are so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lfm/detector.h"
#include "src/pipeline/input_image.h"

namespace lfm {

/// A network that judges every piece: the model, or one of its members.
struct Member {
  Architecture architecture;
  std::span<const float> parameters;  ///< for the evidence; may be empty where none is asked for
};

struct Piece {
  std::size_t delivery = 0;
  std::size_t window = 0;  ///< of the view
  ViewImage pixels;
  bool taken = false;           ///< by an engine thread
  std::vector<float> logits;    ///< a member each
  std::vector<float> features;  ///< of a piece of the first delivery, if asked for, those of one member after the other
  std::string error;            ///< why it has no logit: for lack of memory, which says nothing of the picture
};

struct DeliveryScore {
  std::size_t pieces = 0;
  std::size_t windows = 0;        ///< of the view
  std::size_t empty_windows = 0;  ///< of them, without texture
  double texture = 0;             ///< mean of Texture::strong over the windows
  std::string error;              ///< why it has no score
};

struct Picture {
  std::vector<Piece> pieces;
  std::vector<DeliveryScore> deliveries;
  /// If asked for: for each member, a piece of the first delivery each, the values still to come.
  std::vector<Evidence> evidence;
  std::size_t bytes = 0;  ///< of the pieces' pixels
  std::size_t left = 0;   ///< pieces that are still to be scored; whoever scores them counts
};

/// A delivery that one of the networks can't take, too small for instance, has its error and no pieces.
/// with_evidence: prepares for add_evidence, where the picture as it is comes first.
Picture cut_up(InputViews&& views, const Presentation& presentation, std::span<const Member> members,
               bool with_evidence);

// Of one picture's pieces, several threads may score different ones at the same time.

/// maps: [64][rows*columns], the member's of a piece of the first delivery.
void add_evidence(Picture& picture, const Piece& piece, std::span<const float> maps, std::span<const Member> members,
                  std::size_t index);

/// What there is to tell of a picture before it is scored, out of its views: size upright, orientation, thumbnail and
/// signs.
void take_facts(InputViews& views, Detection& detection);

/// Once for each member, in their order. features: [64*k], or none.
void add_score(Piece& piece, float logit, std::span<const float> features);

/// When all pieces have a logit or an error. Sums in the order of the pieces, whatever the order in which they were
/// scored. Writes logits, features and evidence; true then. With several members the delivered logits, and the logit,
/// are still the first one's: what the model makes of delivered_member_logits is for who knows its rule. False where
/// there is nothing but an error to write: the first piece's that has one, for means over a part of the pieces would be
/// another answer, or the first delivery's where none can be had.
bool put_together(Picture& picture, Detection& detection);

}  // namespace lfm

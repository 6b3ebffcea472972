// The functions of OpenFHE 1.4.2 that the program overrides, by their names in its shared libraries.
#pragma once

namespace openfhe_shim {
namespace symbols {

constexpr const char* NTT_FORWARD =
    "_ZN6intnat27NumberTheoreticTransformNatINS_13NativeVectorTINS_14NativeIntegerTImEEEEE35ForwardTransformToBit"
    "ReverseInPlaceERKS4_S7_PS4_";
constexpr const char* NTT_INVERSE =
    "_ZN6intnat27NumberTheoreticTransformNatINS_13NativeVectorTINS_14NativeIntegerTImEEEEE37InverseTransformFromB"
    "itReverseInPlaceERKS4_S7_RKS3_S9_PS4_";
constexpr const char* ADD_NO_CHECK = "_ZN6intnat13NativeVectorTINS_14NativeIntegerTImEEE15ModAddNoCheckEqERKS3_";
constexpr const char* ADD_IN_PLACE = "_ZN6intnat13NativeVectorTINS_14NativeIntegerTImEEE8ModAddEqERKS3_";
constexpr const char* ADD = "_ZNK6intnat13NativeVectorTINS_14NativeIntegerTImEEE6ModAddERKS3_";
constexpr const char* SUBTRACT_IN_PLACE = "_ZN6intnat13NativeVectorTINS_14NativeIntegerTImEEE8ModSubEqERKS3_";
constexpr const char* SUBTRACT = "_ZNK6intnat13NativeVectorTINS_14NativeIntegerTImEEE6ModSubERKS3_";
constexpr const char* MULTIPLY_NO_CHECK = "_ZN6intnat13NativeVectorTINS_14NativeIntegerTImEEE15ModMulNoCheckEqERKS3_";
constexpr const char* MULTIPLY_IN_PLACE = "_ZN6intnat13NativeVectorTINS_14NativeIntegerTImEEE8ModMulEqERKS3_";
constexpr const char* MULTIPLY = "_ZNK6intnat13NativeVectorTINS_14NativeIntegerTImEEE6ModMulERKS3_";
constexpr const char* MULTIPLY_SCALAR_IN_PLACE = "_ZN6intnat13NativeVectorTINS_14NativeIntegerTImEEE8ModMulEqERKS2_";
constexpr const char* MULTIPLY_SCALAR = "_ZNK6intnat13NativeVectorTINS_14NativeIntegerTImEEE6ModMulERKS2_";
constexpr const char* ADD_SCALAR = "_ZNK6intnat13NativeVectorTINS_14NativeIntegerTImEEE6ModAddERKS2_";
constexpr const char* SUBTRACT_SCALAR_IN_PLACE = "_ZN6intnat13NativeVectorTINS_14NativeIntegerTImEEE8ModSubEqERKS2_";
constexpr const char* AUTOMORPHISM =
    "_ZNK8lbcrypto8PolyImplIN6intnat13NativeVectorTINS1_14NativeIntegerTImEEEEE21AutomorphismTransformEjRKSt6vect"
    "orIjSaIjEE";
constexpr const char* CONVERT_BASIS =
    "_ZNK8lbcrypto12DCRTPolyImplIN9bigintdyn9mubintvecINS1_5ubintImEEEEE20ApproxSwitchCRTBasisERKSt10shared_ptrIN"
    "S_12ILDCRTParamsIS4_EEESC_RKSt6vectorIN6intnat14NativeIntegerTImEESaISG_EESK_RKSD_ISI_SaISI_EERKSD_IoSaIoEE";
constexpr const char* DIVIDE_BY_P =
    "_ZNK8lbcrypto12DCRTPolyImplIN9bigintdyn9mubintvecINS1_5ubintImEEEEE13ApproxModDownERKSt10shared_ptrINS_12ILD"
    "CRTParamsIS4_EEESC_RKSt6vectorIN6intnat14NativeIntegerTImEESaISG_EESK_SK_SK_RKSD_ISI_SaISI_EERKSD_IoSaIoEESK"
    "_SK_RKSG_SK_";
constexpr const char* RESCALE =
    "_ZN8lbcrypto12DCRTPolyImplIN9bigintdyn9mubintvecINS1_5ubintImEEEEE23DropLastElementAndScaleERKSt6vectorIN6in"
    "tnat14NativeIntegerTImEESaISA_EESE_";
constexpr const char* DECOMPOSE =
    "_ZNK8lbcrypto15KeySwitchHYBRID27EvalKeySwitchPrecomputeCoreERKNS_12DCRTPolyImplIN9bigintdyn9mubintvecINS2_5u"
    "bintImEEEEEESt10shared_ptrINS_20CryptoParametersBaseIS7_EEE";
constexpr const char* INNER_PRODUCT =
    "_ZNK8lbcrypto15KeySwitchHYBRID24EvalFastKeySwitchCoreExtESt10shared_ptrISt6vectorINS_12DCRTPolyImplIN9bigint"
    "dyn9mubintvecINS4_5ubintImEEEEEESaIS9_EEES1_INS_11EvalKeyImplIS9_EEES1_INS_12ILDCRTParamsIS7_EEE";
constexpr const char* SWITCH_DIGITS =
    "_ZNK8lbcrypto15KeySwitchHYBRID21EvalFastKeySwitchCoreESt10shared_ptrISt6vectorINS_12DCRTPolyImplIN9bigintdyn"
    "9mubintvecINS4_5ubintImEEEEEESaIS9_EEES1_INS_11EvalKeyImplIS9_EEES1_INS_12ILDCRTParamsIS7_EEE";

constexpr const char* ALL[] = {
    NTT_FORWARD, NTT_INVERSE, ADD_NO_CHECK, ADD_IN_PLACE, ADD, SUBTRACT_IN_PLACE, SUBTRACT, MULTIPLY_NO_CHECK,
    MULTIPLY_IN_PLACE, MULTIPLY, MULTIPLY_SCALAR_IN_PLACE, MULTIPLY_SCALAR, ADD_SCALAR, SUBTRACT_SCALAR_IN_PLACE,
    AUTOMORPHISM, CONVERT_BASIS, DIVIDE_BY_P, RESCALE, DECOMPOSE, INNER_PRODUCT, SWITCH_DIGITS,
};

}  // namespace symbols
}  // namespace openfhe_shim
